"""A gait of a biped from its model alone: where it steps, and how its legs do it."""

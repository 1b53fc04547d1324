"""The world model as an environment."""

"""Policies judged by physics, world models by episodes that they have not seen."""

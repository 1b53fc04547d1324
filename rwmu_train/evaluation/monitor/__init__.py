"""Judging how well a monitor sees that a robot has left its data."""

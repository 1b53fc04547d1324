"""Commands of the robot side."""

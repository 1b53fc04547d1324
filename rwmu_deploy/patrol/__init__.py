"""A robot that walks by itself, inside an area, and stays there."""

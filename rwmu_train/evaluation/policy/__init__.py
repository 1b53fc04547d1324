"""Judging policies in the simulated robot."""

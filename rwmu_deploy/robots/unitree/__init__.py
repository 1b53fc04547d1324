"""Unitree's low-level messages, generation `hg` (G1 and H1-2)."""

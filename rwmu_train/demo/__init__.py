"""`make demo`: the whole loop once, from logged transitions to a robot's log."""

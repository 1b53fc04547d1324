"""The rsl_rl environment, over simulated or imagined robots."""

"""Train a policy in the imagined robot, and keep it."""

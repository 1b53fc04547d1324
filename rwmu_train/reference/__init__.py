"""The simulated robot as teacher: online PPO, and recordings of what its policies do."""

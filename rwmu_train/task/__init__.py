"""What a policy is asked to do: commands, rewards, noise, episodes."""

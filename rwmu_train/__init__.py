"""Offline training: transitions to a policy, without a simulator in the loop."""

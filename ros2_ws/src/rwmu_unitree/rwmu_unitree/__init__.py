"""Unitree's robots behind the policy node: LowState in, LowCmd out."""

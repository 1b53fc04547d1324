"""Transitions from a running robot into CSV."""

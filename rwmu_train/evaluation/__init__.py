"""Policies judged by physics."""

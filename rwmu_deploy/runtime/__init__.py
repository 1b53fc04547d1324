"""The 50 Hz loop and the checks around it."""

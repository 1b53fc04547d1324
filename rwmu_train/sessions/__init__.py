"""Sessions of collecting, read back."""

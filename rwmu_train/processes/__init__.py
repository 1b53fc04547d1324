"""Several processes that train together (torchrun)."""

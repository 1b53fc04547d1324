"""Studies: the same training over many settings and seeds, and what came of it, side by side."""

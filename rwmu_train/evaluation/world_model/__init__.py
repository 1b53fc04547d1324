"""How far a world model can be trusted, and whether it knows where it can not."""

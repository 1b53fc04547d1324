"""What is said of one maker's robots on the wire, and nowhere else."""

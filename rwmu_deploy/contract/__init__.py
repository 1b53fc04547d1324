"""What trainer and robot must agree on."""

"""The MuJoCo robot: one in real time, or thousands at once."""

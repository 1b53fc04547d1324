"""What runs on the robot: bundle, 50 Hz loop, safety, transition log.

Needs numpy, onnxruntime and pyyaml.
"""

"""ROS 2 nodes around the control loop of `rwmu_deploy`: topics in, joint commands out."""

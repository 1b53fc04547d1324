"""Others on the robot's topics, each a process of its own: who commands it too, who floods it."""

from __future__ import annotations

import sys
import time

import rclpy
from geometry_msgs.msg import Twist
from rclpy.node import Node
from rwmu_ros import quality_of_service
from std_msgs.msg import Float64MultiArray

FLOOD_HZ = 1000.0


def main() -> None:
    """By the parameter `role`: "commander" offers joint_command, "flood" publishes cmd_vel.

    A commander prints the time [monotonic s] from which on its commands would be heard.
    """
    rclpy.init(args=sys.argv)
    node = Node("stranger")
    role = node.declare_parameter("role", "commander").value
    if role == "commander":
        commands = node.create_publisher(
            Float64MultiArray, "joint_command", quality_of_service.COMMAND
        )
        while commands.get_subscription_count() == 0:
            time.sleep(0.002)
        print(time.monotonic(), flush=True)
        while rclpy.ok():  # until SIGTERM
            time.sleep(0.01)
        # Says goodbye: who only vanishes is believed there until its lease ends, after 20 s.
        node.destroy_node()
        rclpy.try_shutdown()
        return
    publisher = node.create_publisher(Twist, "cmd_vel", 10)
    message = Twist()
    message.linear.x = 0.1
    due_s = time.monotonic()
    while True:
        publisher.publish(message)
        due_s += 1.0 / FLOOD_HZ
        time.sleep(max(0.0, due_s - time.monotonic()))

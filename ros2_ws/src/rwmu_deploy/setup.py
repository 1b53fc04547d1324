"""Install the ROS package rwmu_deploy, whose Python module is rwmu_ros."""

from glob import glob

from setuptools import setup

PACKAGE = "rwmu_deploy"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=["rwmu_ros"],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        (f"share/{PACKAGE}/launch", sorted(glob("launch/*.launch.py"))),
        (f"share/{PACKAGE}/config", sorted(glob("config/*.yaml"))),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="The rwmu authors",
    maintainer_email="rwmu@example.org",
    description="Runs a verified locomotion policy bundle at 50 Hz behind ROS 2 topics.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "policy_node = rwmu_ros.policy_process:main",
            "collect_node = rwmu_ros.collect_node:main",
            "simulated_robot_node = rwmu_ros.simulated_robot_node:main",
        ],
    },
)

"""Install the ROS package rwmu_unitree."""

from glob import glob

from setuptools import setup

PACKAGE = "rwmu_unitree"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=[PACKAGE],
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
    description="The policy node of rwmu_deploy for robots that speak LowState and LowCmd.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "policy_node = rwmu_unitree.policy_process:main",
            "motion_service = rwmu_unitree.motion_service:main",
            "simulated_robot_node = rwmu_unitree.simulated_robot_node:main",
        ],
    },
)

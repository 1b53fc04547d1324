import pytest

from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec


@pytest.fixture(scope="session")
def biped() -> RobotSpec:
    return load_robot_spec("g1")

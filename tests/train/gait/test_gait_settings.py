"""A gait.yaml is read whole, or refused by name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rwmu_deploy.contract.errors import RobotSpecError
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec, robot_folder
from rwmu_train.gait import gait_settings
from rwmu_train.gait.gait_settings import NAMES, load_gait_settings

Spoil = Callable[[str], str]


@pytest.fixture
def spoiled(biped: RobotSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = (robot_folder(biped.name) / "gait.yaml").read_text()

    def load(spoil: Spoil):
        (tmp_path / "gait.yaml").write_text(spoil(text))
        monkeypatch.setattr(gait_settings, "robot_folder", lambda name: tmp_path)
        return load_gait_settings(biped)

    return load


def test_every_number_is_read(spoiled) -> None:
    settings = spoiled(lambda text: text)
    assert all(isinstance(getattr(settings, name), float) for name in NAMES)
    assert spoiled(lambda text: text.replace("step_s: ", "step_s: 1")).step_s != settings.step_s


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text.replace("lift_m:", "lift:"), "misses lift_m and has unknown keys lift"),
        (lambda text: text.replace("lift_m: ", "lift_m: .nan #"), "lift_m is nan"),
        (lambda text: text.replace("lift_m: ", "lift_m: high #"), "lift_m is 'high'"),
        (lambda text: text.replace("step_s: ", "step_s: 0 #"), "step_s is 0.0; allowed is above"),
        (lambda text: text.replace("waist_roll_joint", "tail_joint"), "tail_joint"),
        (lambda text: text + "\n[", "is no YAML"),
    ],
)
def test_what_is_wrong_is_named(spoiled, spoil: Spoil, said: str) -> None:
    with pytest.raises(RobotSpecError, match=said):
        spoiled(spoil)


def test_a_robot_without_a_gait_says_what_else_there_is() -> None:
    with pytest.raises(RobotSpecError, match=r"has no gait.*\n?.*Start from a bundle"):
        load_gait_settings(load_robot_spec("anymal_d"))

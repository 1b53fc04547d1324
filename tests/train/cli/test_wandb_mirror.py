import sys
from types import SimpleNamespace
from unittest import mock

import pytest

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.cli.wandb_mirror import mirrored_to_wandb, require_wandb


def test_nothing_is_sent_unless_asked_for(tmp_path) -> None:
    with mock.patch.dict(sys.modules, {"wandb": None}), mirrored_to_wandb(None, tmp_path):
        pass


def test_a_missing_package_is_named() -> None:
    with mock.patch.dict(sys.modules, {"wandb": None}):
        require_wandb(None)
        with pytest.raises(ConfigError, match="wandb is not installed"):
            require_wandb("walk")


def test_events_are_mirrored_and_the_run_is_closed_after_a_failure(tmp_path) -> None:
    calls: list[str] = []
    fake = SimpleNamespace(
        init=lambda **settings: calls.append(f"{settings['project']} {settings['name']}"),
        finish=lambda: calls.append("finish"),
    )
    with (
        mock.patch.dict(sys.modules, {"wandb": fake}),
        pytest.raises(ValueError, match="training failed"),
        mirrored_to_wandb("walk", tmp_path / "run"),
    ):
        raise ValueError("training failed")
    assert calls == ["walk run", "finish"]

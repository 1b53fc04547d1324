"""Where a run's policies lie: its own, and those of its stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.policy.policy_checkpoint import FACTS_NAME


def find_policies(folders: Sequence[Path]) -> list[Path]:
    """Folders that hold a policy: each given one, and its `stages/`.

    Raises:
        ConfigError: A folder has none.
    """
    found: list[Path] = []
    for folder in folders:
        stages = find_stages(folder)
        own = [folder] if (folder / FACTS_NAME).is_file() else []
        if not stages and not own:
            raise ConfigError(
                f"{folder} holds no policy ({FACTS_NAME}) and no stages",
                fix="Give a run folder of rwmu-train.",
            )
        found += stages + own
    return found


def find_stages(run: Path) -> list[Path]:
    """Policies along a run's training, in order."""
    return sorted(path.parent for path in run.glob(f"stages/*/{FACTS_NAME}"))


def policy_name(folder: Path) -> str:
    """What a policy is called in sidecars: a stage by its run's name and its own."""
    if folder.parent.name == "stages":
        return f"{folder.parent.parent.name}/{folder.name}"
    return folder.name

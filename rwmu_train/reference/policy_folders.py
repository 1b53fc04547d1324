"""Where a run's policies lie: its own, and those of its stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.policy.policy_checkpoint import FACTS_NAME
from rwmu_train.reference.named_sets import NamedSet


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


def policies_of_set(chosen: NamedSet, runs: Sequence[Path]) -> list[Path]:
    """Those of each run that a set asks for.

    Raises:
        ConfigError: A run has none.
    """
    return [folder for run in runs for folder in chosen.choose(find_policies([run]))]


def find_stages(run: Path) -> list[Path]:
    """Policies along a run's training, in order."""
    return sorted(path.parent for path in run.glob(f"stages/*/{FACTS_NAME}"))

"""Where a run's policies lie: its own, and those of its stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.policy.policy_checkpoint import FACTS_NAME, load_policy


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


def name_and_generation(policy: Path) -> tuple[str, int | None]:
    """What sidecars say of a policy: its name, and how many stages of training came before it.

    Those of the run that its own run was started from count too. A run that kept no stages, and a
    bundle, state no generation.

    Raises:
        CheckpointError: The policy can't be loaded.
    """
    if not (policy / FACTS_NAME).is_file():
        return policy.name, None
    earlier = load_policy(policy)[1].earlier_stages
    if policy.parent.name == "stages":
        run = policy.parent.parent
        return f"{run.name}/{policy.name}", earlier + find_stages(run).index(policy)
    return policy.name, earlier + len(find_stages(policy)) or None

"""Who acts in a recording, as its sidecars say it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rwmu_train.policy.policy_checkpoint import FACTS_NAME, load_policy, weights_sha256
from rwmu_train.reference.policy_folders import find_stages


@dataclass(frozen=True)
class Collector:
    """A policy or a script that acts."""

    name: str
    generation: int | None = None
    """How many stages of training came before it, those of the run that its own run was started
    from too. A run that kept no stages, a bundle and a script state none."""
    policy: str | None = None
    """The same in all recordings of one policy, and in no others': its name and the hash of its
    weights. None for a script and a bundle."""


def collector_of(policy: Path) -> Collector:
    """What sidecars say of a policy's folder, or of a bundle's.

    Raises:
        CheckpointError: The policy can't be loaded.
    """
    if not (policy / FACTS_NAME).is_file():
        return Collector(policy.name)
    network, facts = load_policy(policy)
    if policy.parent.name == "stages":
        run = policy.parent.parent
        name, before = f"{run.name}/{policy.name}", find_stages(run).index(policy)
        generation = facts.earlier_stages + before
    else:
        name = policy.name
        generation = facts.earlier_stages + len(find_stages(policy)) or None
    return Collector(name, generation, f"{name} {weights_sha256(network)}")

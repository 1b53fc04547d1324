"""Where two bundles' observations and actions were seen or scaled otherwise, entry by entry.

Entries are held against each other by name ("joint_velocity_radps[LF_HAA]"), never by index. Of
each term that differs, the entry that differs most is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rwmu_deploy.contract.bundle_training_range import TrainingRange
from rwmu_deploy.contract.observation import observation_terms
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.contract.robot_spec import RobotSpec

Row = tuple[str, Any, Any]
"""What, its value in A, its value in B."""
Entries = Mapping[str, Mapping[str, tuple[float, ...]]]
"""Term -> label -> the numbers about that entry."""


def observation_labels(spec: RobotSpec) -> list[tuple[str, str]]:
    """Term and label of every observation entry, in order, length O."""
    return [(term.name, label) for term in observation_terms(spec) for label in term.labels]


def normaliser_rows(a: PolicyBundle, b: PolicyBundle) -> Iterator[Row]:
    """Terms whose mean or standard deviation in the network differs."""
    ours, theirs = (
        _by_term(
            observation_labels(bundle.spec),
            bundle.manifest["network"]["observation_mean"],
            bundle.manifest["network"]["observation_std"],
        )
        for bundle in (a, b)
    )
    for what, one, other in _term_rows(ours, theirs):
        yield what, _named(one, "mean", "std"), _named(other, "mean", "std")


def training_range_rows(a: PolicyBundle, b: PolicyBundle) -> Iterator[Row]:
    """Terms of the observation, and actions, that were seen in other ranges in training."""
    sides = [
        (a.observation_range, b.observation_range, observation_labels),
        (a.action_range, b.action_range, _action_labels),
    ]
    for kind, (ours, theirs, labels) in zip(("observation", "action"), sides, strict=True):
        if ours is None or theirs is None:
            if ours is not theirs:
                yield kind, _recorded(ours), _recorded(theirs)
            continue
        names = ("minimum", "maximum", "mean", "std")
        for what, one, other in _term_rows(
            _ranges(ours, labels(a.spec)), _ranges(theirs, labels(b.spec))
        ):
            yield what, _named(one, *names), _named(other, *names)


def _named(numbers: tuple[float, ...], *names: str) -> dict[str, float]:
    return dict(zip(names, numbers, strict=True))


def _recorded(seen: TrainingRange | None) -> str:
    return "not recorded" if seen is None else "recorded"


def _action_labels(spec: RobotSpec) -> list[tuple[str, str]]:
    return [("action", name) for name in spec.joint_names]


def _ranges(seen: TrainingRange, labels: list[tuple[str, str]]) -> Entries:
    return _by_term(labels, seen.minimum, seen.maximum, seen.mean, seen.std)


def _by_term(labels: list[tuple[str, str]], *columns: Any) -> Entries:
    entries: dict[str, dict[str, tuple[float, ...]]] = {}
    for (term, label), *numbers in zip(labels, *columns, strict=True):
        entries.setdefault(term, {})[label] = tuple(numbers)
    return entries


def _term_rows(a: Entries, b: Entries) -> Iterator[Row]:
    for term, ours in a.items():
        common = [label for label in ours if label in b.get(term, {})]
        gap = {label: np.abs(np.subtract(ours[label], b[term][label])).max() for label in common}
        changed = [label for label in common if gap[label] > 0.0]
        if changed:
            most = max(changed, key=gap.__getitem__)
            what = f"{term}: {len(changed)} of {len(common)} entries, most {most}"
            yield what, ours[most], b[term][most]

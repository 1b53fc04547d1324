"""How differently two bundles act on the same observations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwmu_deploy.contract.action import target_from_action
from rwmu_deploy.contract.joint_map import JointMap
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_train.export.entry_difference import observation_labels


@dataclass(frozen=True)
class ActionDifference:
    """Actions of two bundles on the golden observations of both, joint by joint by name."""

    observations: int
    largest: float
    joint: str
    """The joint whose action differs most."""
    rms: float
    """Root mean square over observations and joints."""
    largest_target_rad: float
    """Largest difference of a position target, each with its own default pose and scale."""


def action_difference(a: PolicyBundle, b: PolicyBundle) -> ActionDifference | None:
    """Let both act; None if they have other joints, so that nothing can be held together."""
    if set(a.spec.joint_names) != set(b.spec.joint_names):
        return None
    a_to_b, b_to_a = (_entry_index(one, other) for one, other in ((a, b), (b, a)))
    observations = np.concatenate([a.golden_observations, b.golden_observations[:, b_to_a]])
    joints = JointMap(b.spec.joint_names, a.spec.joint_names, source="bundle B")
    actions = [np.stack([a.action(row) for row in observations])]
    actions.append(np.stack([b.action(row) for row in observations[:, a_to_b]]))
    targets = [
        target_from_action(side.spec, rows) for side, rows in zip((a, b), actions, strict=True)
    ]
    gap, gap_rad = (
        np.abs(ours - theirs[:, joints.source_index]) for ours, theirs in (actions, targets)
    )
    return ActionDifference(
        observations=len(observations),
        largest=float(gap.max()),
        joint=a.spec.joint_names[int(gap.max(axis=0).argmax())],
        rms=float(np.sqrt(np.mean(gap**2))),
        largest_target_rad=float(gap_rad.max()),
    )


def _entry_index(source: PolicyBundle, target: PolicyBundle) -> NDArray[np.intp]:
    """Where each entry of the target's observation stands in the source's, shape (O,)."""
    place = {label: i for i, label in enumerate(observation_labels(source.spec))}
    return np.array([place[label] for label in observation_labels(target.spec)], dtype=np.intp)

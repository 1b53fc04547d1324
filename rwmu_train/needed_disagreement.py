"""What can't be asked of a world model with one member, which never disagrees with itself."""

from __future__ import annotations

import math

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.presets import OfflinePreset


def refuse_blind_penalties(preset: OfflinePreset, members: int) -> None:
    """Refuse settings that count uncertainty where there can be none, and weights that are none.

    Args:
        preset: How the policy is to be trained.
        members: Of the world model.

    Raises:
        ConfigError: Lambda is negative or not a number, or one member is to be uncertain.
    """
    weight, end = preset.reward.uncertainty_weight, preset.imagination.end_above_uncertainty
    if not 0.0 <= weight < math.inf:
        raise ConfigError(
            f"lambda (reward.uncertainty_weight) is {weight}; allowed is 0 up",
            fix="Set it with --lambda.",
        )
    if not end > 0.0:
        raise ConfigError(
            f"imagination.end_above_uncertainty is {end}; allowed is above 0, inf for never",
            fix="Set it with --set imagination.end_above_uncertainty=inf.",
        )
    if members > 1:
        return
    reason = "the world model has one member, whose uncertainty is 0 everywhere"
    if weight > 0.0:
        raise ConfigError(
            f"lambda is {weight:g}, but {reason}; allowed is 0",
            fix="Use --lambda 0 (MBPO-PPO), or a world model of several members "
            "(world_model.members).",
        )
    if end < math.inf:
        raise ConfigError(
            f"imagination.end_above_uncertainty is {end:g}, but {reason}; allowed is inf",
            fix="Use --set imagination.end_above_uncertainty=inf, or a world model of several "
            "members (world_model.members).",
        )

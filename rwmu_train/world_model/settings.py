"""Training settings of the world model; presets `paper`, `released`, `default`, `quick`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from rwmu_deploy.contract.errors import ConfigError
from rwmu_train.world_model.ensemble import Architecture, Auxiliary, LogStd, Trunks
from rwmu_train.world_model.precision import Precision

Loss = Literal["huber", "mse", "sampled_mse", "gaussian_nll"]
Bootstrap = Literal["none", "poisson", "resample", "by_episode"]

_FORMER_BOOTSTRAPS: dict[str, Bootstrap] = {"per_batch": "poisson"}
"""Names in the settings of older runs."""

_COUNTS = (
    "hidden",
    "head_hidden",
    "iterations",
    "batch_size",
    "history",
    "forecast",
    "branches",
    "branch_stride",
    "members",
    "validate_every",
)
_ABOVE_0 = ("learning_rate", "forecast_decay", "termination_positive_weight", "gradient_clip")
_CHOICES = {
    "loss": Loss,
    "bootstrap": Bootstrap,
    "trunks": Trunks,
    "auxiliary": Auxiliary,
    "log_std": LogStd,
    "precision": Precision,
}
_WITH_STANDARD_DEVIATION = ("sampled_mse", "gaussian_nll")
_FROM_0 = (
    "final_learning_rate",
    "weight_decay",
    "history_loss_weight",
    "auxiliary_weight",
    "termination_weight",
    "input_noise",
)


@dataclass(frozen=True)
class WorldModelSettings:
    """How the world model is trained.

    A training sequence is a history of M rows, of which each further `branch_stride` rows start
    another forecast of N rows. With one branch that is the papers' window of M + N rows; more
    branches share the cost of encoding the history.
    """

    iterations: int = 2500
    """Gradient steps."""
    batch_size: int = 1024
    """Forecasts (windows) in a gradient step."""
    learning_rate: float = 1.0e-4
    final_learning_rate: float | None = None
    """Cosine decay down to this; constant when None."""
    weight_decay: float = 1.0e-5
    history: int = 32
    """M."""
    forecast: int = 8
    """N: steps predicted from the model's own predictions."""
    forecast_decay: float = 1.0
    """alpha: weight of forecast step k is alpha^k."""
    branches: int = 1
    """Forecasts started from one sequence."""
    branch_stride: int = 8
    """Rows between the starts of forecasts in a sequence."""
    members: int = 5
    """E."""
    layers: int = 2
    """GRU layers of a trunk, 1 or 2."""
    hidden: int = 256
    """Units in each of them."""
    head_hidden: int = 128
    trunks: Trunks = "shared"
    """What members share: the recurrent trunk, as in RWM-U, or nothing (`separate`)."""
    auxiliary: Auxiliary = "own_trunk"
    """Where contacts and termination are read; see `Architecture`."""
    residual: bool = True
    """Whether a mean is the present state plus a change."""
    log_std: LogStd = "fixed_bounds"
    """Bounds of the standard deviation, for losses that use it. `learned_bounds` (released code)
    come with that code's loss, their width, which shuts them."""
    loss: Loss = "mse"
    """`huber` and `mse` of the mean; `sampled_mse` of a reparameterised sample (released code);
    `gaussian_nll`."""
    history_loss_weight: float = 0.0
    """Weight of one-step losses on every row of the history (teacher-forced)."""
    bootstrap: Bootstrap = "poisson"
    """`none`: all members learn from all windows. `poisson`: each member weighs the sequences of
    every batch anew by Poisson(1). `resample`: each member draws every batch anew, with
    replacement, out of itself (online release); as weights, whole numbers that add up to the
    batch. Both weigh forecasts, not contacts and falls. `by_episode`: each member owns a fixed
    resample of episodes, and every sequence trains the one member that drew it (E times less
    work)."""
    auxiliary_weight: float = 1.0
    """Weight of the contact and termination losses."""
    termination_weight: float = 1.0
    """Weight of the termination loss beside that of one contact."""
    termination_positive_weight: float = 1.0
    """How much more a fall counts than a row without one."""
    fall_share: float = 0.0
    """Share of sequences that are drawn from those that end in a fall, where there are any. Falls
    are rare and stand in an episode's last row, so that few windows hold one."""
    input_noise: float = 0.0
    """Standard deviation of Gaussian noise on the history's normalised states."""
    precision: Precision = "auto"
    """Of matrix products in training; held-out figures are computed in float32. `auto`: bfloat16
    where the processor multiplies it, else float32."""
    gradient_clip: float | None = None
    validation_share: float = 0.1
    """Share of episodes held out."""
    validate_every: int = 250
    """Iterations between held-out evaluations and checkpoints."""

    def __post_init__(self) -> None:
        former = _FORMER_BOOTSTRAPS.get(self.bootstrap)
        if former is not None:
            object.__setattr__(self, "bootstrap", former)
        self._refuse_unknown_names()
        self._refuse_numbers_out_of_range()
        if self.batch_size % self.branches:
            raise ConfigError(
                f"batch_size {self.batch_size} is not a multiple of branches {self.branches}",
                fix="Change one of them.",
            )
        if self.bootstrap == "by_episode" and self.sequences % self.members:
            raise ConfigError(
                f"{self.sequences} sequences a batch don't divide among {self.members} members",
                fix="Change batch_size, branches or members.",
            )

    def _refuse_unknown_names(self) -> None:
        for name, kind in _CHOICES.items():
            if getattr(self, name) not in get_args(kind):
                raise ConfigError(
                    f"{name} is '{getattr(self, name)}'; allowed are {', '.join(get_args(kind))}",
                    fix="Name one of these.",
                )
        if self.loss in _WITH_STANDARD_DEVIATION and self.log_std == "none":
            raise ConfigError(
                f"the loss {self.loss} needs a standard deviation; log_std is 'none'",
                fix="Use log_std fixed_bounds, or the loss huber or mse.",
            )

    def _refuse_numbers_out_of_range(self) -> None:
        for name in _COUNTS:
            if not getattr(self, name) >= 1:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}; allowed is 1 up", fix="Correct it."
                )
        for name in (*_ABOVE_0, *_FROM_0):
            value = getattr(self, name)
            if value is None:
                continue
            in_range = value > 0.0 if name in _ABOVE_0 else value >= 0.0
            if not (in_range and math.isfinite(value)):
                allowed = "above 0" if name in _ABOVE_0 else "0 up"
                raise ConfigError(f"{name} is {value}; allowed is {allowed}", fix="Correct it.")
        if not 0.0 <= self.fall_share <= 1.0:
            raise ConfigError(
                f"fall_share is {self.fall_share}; allowed is 0 to 1", fix="Correct it."
            )

    def architecture(
        self, state_size: int, action_size: int, contact_size: int, extension_size: int
    ) -> Architecture:
        """Of a robot with these sizes."""
        return Architecture(
            state_size,
            action_size,
            contact_size,
            members=self.members,
            layers=self.layers,
            hidden=self.hidden,
            head_hidden=self.head_hidden,
            log_std=self.log_std if self.loss in _WITH_STANDARD_DEVIATION else "none",
            trunks=self.trunks,
            auxiliary=self.auxiliary,
            residual=self.residual,
            extension_size=extension_size,
        )

    def refuse_uneven_shares(self, processes: int) -> None:
        """Check that every batch divides among processes.

        Raises:
            ConfigError: It does not.
        """
        group = self.sequences // self.sequence_groups
        if group % processes:
            of_whom = " for each member" if self.sequence_groups > 1 else ""
            raise ConfigError(
                f"batch_size {self.batch_size} makes {group} sequences{of_whom}, which don't "
                f"divide among {processes} processes",
                fix=f"Use a batch_size that is a multiple of "
                f"{self.branches * self.sequence_groups * processes}, or other processes.",
            )

    @property
    def sequences(self) -> int:
        """Sequences in a gradient step."""
        return self.batch_size // self.branches

    @property
    def sequence_groups(self) -> int:
        """Groups that the sequences of a batch come in: one a member with `by_episode`."""
        return self.members if self.bootstrap == "by_episode" else 1

    @property
    def teacher_forced_steps(self) -> int:
        """Inputs from data in a sequence: up to the last branch's start."""
        return self.history + (self.branches - 1) * self.branch_stride

    @property
    def encoded_steps(self) -> int:
        """Inputs from data that the state trunk sees.

        Where it also tells falls, these are all: an episode's last row, which alone can be a fall,
        is never before a forecast.
        """
        return (
            self.sequence_rows - 1
            if self.auxiliary == "state_trunk"
            else self.teacher_forced_steps
        )

    @property
    def sequence_rows(self) -> int:
        """Rows of a training sequence."""
        return self.teacher_forced_steps + self.forecast


WORLD_MODEL_PRESETS: dict[str, WorldModelSettings] = {
    # RWM-U (arXiv:2504.16680), table S10.
    "paper": WorldModelSettings(loss="sampled_mse"),
    # robotic_world_model_lite 6351d01 and the online release: 5000 windows, lr 1e-3, no bootstrap.
    "released": WorldModelSettings(
        iterations=5000,
        batch_size=5000,
        learning_rate=1.0e-3,
        weight_decay=0.0,
        loss="sampled_mse",
        log_std="learned_bounds",
        bootstrap="none",
        gradient_clip=1.0,
    ),
    # Ours: histories shared by four forecasts, each sequence trains one member, and members with
    # trunks of their own disagree where they are wrong (docs/world_model.md).
    "default": WorldModelSettings(
        iterations=5000,
        batch_size=1280,
        learning_rate=1.0e-3,
        final_learning_rate=2.0e-5,
        weight_decay=1.0e-5,
        branches=4,
        branch_stride=8,
        layers=1,
        hidden=96,
        trunks="separate",
        auxiliary="state_trunk",
        loss="huber",
        history_loss_weight=0.5,
        bootstrap="by_episode",
        termination_weight=50.0,
        fall_share=0.02,
        gradient_clip=1.0,
        validate_every=250,
    ),
}

# The same in less time.
WORLD_MODEL_PRESETS["quick"] = replace(WORLD_MODEL_PRESETS["default"], iterations=1500)

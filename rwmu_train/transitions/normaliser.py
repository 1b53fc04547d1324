"""Normalise states: (state - mean) / std, with numbers that travel with every checkpoint.

S = state size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import yaml
from numpy.typing import NDArray

from rwmu_deploy.contract.asset_folder import asset_path
from rwmu_deploy.contract.errors import CheckpointError, ConfigError, TransitionFileError
from rwmu_deploy.contract.robot_spec import RobotSpec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.transitions.dataset import TransitionDataset

if TYPE_CHECKING:
    from torch import Tensor

NORMALISER_NAMES = ("released", "fitted", "shipped")
"""Of the public code; of the data at hand; of data that this package was made with."""
_FILES = {"released": "released_normaliser.yaml", "shipped": "fitted_normaliser.yaml"}
"""Beside robot.yaml."""
_DIGITS = 6

STD_FLOOR = {
    "base_linear_velocity_mps": 0.05,
    "base_angular_velocity_radps": 0.05,
    "projected_gravity": 0.01,
    "joint_position_offset_rad": 0.02,
    "joint_velocity_radps": 0.2,
    "joint_torque_nm": 1.0,
}
"""Smallest fitted standard deviation of a block's channels, in its unit.

About the size of sensor noise: a channel that hardly moves in the data would otherwise turn noise
into large inputs.
"""

_FIT_CHUNK_ROWS = 1 << 16

_Array = TypeVar("_Array", NDArray[np.floating], "Tensor")


@dataclass(frozen=True, eq=False)
class StateNormaliser:
    """Mean and standard deviation of every state channel."""

    mean: NDArray[np.float32]
    """Shape (S,)."""
    std: NDArray[np.float32]
    """Shape (S,), above 0."""
    name: str
    """One of `NORMALISER_NAMES`."""

    def __post_init__(self) -> None:
        """Refuse what would make states infinite or NaN."""
        if not (
            self.mean.ndim == 1
            and self.mean.shape == self.std.shape
            and np.isfinite(self.mean).all()
            and np.isfinite(self.std).all()
            and (self.std > 0.0).all()
        ):
            raise CheckpointError(
                f"normaliser '{self.name}' has mean of shape {self.mean.shape} and std of shape "
                f"{self.std.shape}; allowed are two vectors of equal length, finite, std above 0",
                fix="Fit the normaliser again, or restore the checkpoint.",
            )

    def normalise(self, state: _Array) -> _Array:
        """Normalised states of physical ones, shape (..., S); a tensor stays a tensor."""
        mean, std = self._like(state)
        return (state - mean) / std

    def denormalise(self, normalised: _Array) -> _Array:
        """Physical states of normalised ones, shape (..., S)."""
        mean, std = self._like(normalised)
        return normalised * std + mean

    def to_dict(self) -> dict[str, Any]:
        """JSON keeps these numbers exactly."""
        return {"name": self.name, "mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> StateNormaliser:
        """The normaliser that `to_dict` was called on, bit for bit.

        Raises:
            CheckpointError: A key is missing, or the numbers can't be used.
        """
        try:
            mean = np.array(document["mean"], dtype=np.float32)
            std = np.array(document["std"], dtype=np.float32)
            name = str(document["name"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"normaliser document is not name, mean and std: {error}",
                fix="Restore the checkpoint.",
            ) from None
        return cls(mean, std, name)

    def _like(self, state: Any) -> tuple[Any, Any]:
        if isinstance(state, np.ndarray):
            return self.mean, self.std
        return state.new_tensor(self.mean), state.new_tensor(self.std)


def choose_normaliser(name: str, dataset: TransitionDataset) -> StateNormaliser:
    """The normaliser of a name in NORMALISER_NAMES; "fitted" sees only the data set's own rows.

    Raises:
        ConfigError: There is no such name, or there are no numbers for the robot.
    """
    if name == "fitted":
        return fit_normaliser(dataset)
    if name in _FILES:
        return normaliser_of_robot(name, dataset.spec)
    raise ConfigError(
        f"no normaliser '{name}'; known are {', '.join(NORMALISER_NAMES)}",
        fix="Name one of these.",
    )


def has_released_normaliser(spec: RobotSpec) -> bool:
    """Whether the public code has fixed numbers for all of a robot's state."""
    return _numbers_of(spec, "released") is not None


def released_normaliser(spec: RobotSpec) -> StateNormaliser:
    """The fixed numbers of the public code, from `released_normaliser.yaml` beside robot.yaml.

    Raises:
        ConfigError: There are none for this robot's state.
    """
    return normaliser_of_robot("released", spec)


def normaliser_of_robot(name: str, spec: RobotSpec) -> StateNormaliser:
    """The normaliser whose numbers lie beside robot.yaml: `released` or `shipped`.

    Raises:
        ConfigError: There are none for this robot's state.
    """
    numbers = _numbers_of(spec, name)
    if numbers is None:
        raise ConfigError(
            f"the {name} normaliser has no numbers for robot '{spec.name}'",
            fix="Use the normaliser 'fitted'.",
        )
    return StateNormaliser(*numbers, name)


def labelled_numbers(
    normaliser: StateNormaliser, spec: RobotSpec
) -> dict[str, dict[str, dict[str, float]]]:
    """`mean` and `std` by block, and there by axis or joint, as the files beside robot.yaml."""
    blocks = TransitionColumns.of(spec).state_blocks
    return {
        what: {
            block.name: {
                label: float(f"{value:.{_DIGITS}g}")
                for label, value in zip(block.labels, values[block.slice], strict=True)
            }
            for block in blocks
        }
        for what, values in (("mean", normaliser.mean), ("std", normaliser.std))
    }


def _numbers_of(
    spec: RobotSpec, name: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Mean and standard deviation, each shape (S,)."""
    path = asset_path("robots", spec.name, _FILES[name])
    if not path.is_file():
        return None
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    mean: list[float] = []
    std: list[float] = []
    for block in TransitionColumns.of(spec).state_blocks:
        means, stds = document["mean"].get(block.name, {}), document["std"][block.name]
        if set(block.labels) != set(stds):
            return None
        mean += [means.get(label, 0.0) for label in block.labels]
        std += [stds[label] for label in block.labels]
    return np.array(mean, dtype=np.float32), np.array(std, dtype=np.float32)


def fit_normaliser(dataset: TransitionDataset) -> StateNormaliser:
    """Mean and standard deviation of the data set's own rows, std at least STD_FLOOR.

    Raises:
        TransitionFileError: The data set has no rows.
    """
    index = dataset.member_rows()
    if len(index) == 0:
        raise TransitionFileError(
            "a normaliser can't be fitted to 0 rows", fix="Give more data to the training part."
        )
    columns = dataset.columns
    shift = dataset.states[index[0]].astype(np.float64)
    total = np.zeros(columns.state_size)
    squares = np.zeros(columns.state_size)
    for start in range(0, len(index), _FIT_CHUNK_ROWS):
        offset = dataset.states[index[start : start + _FIT_CHUNK_ROWS]] - shift
        total += offset.sum(axis=0)
        squares += np.square(offset).sum(axis=0)
    mean_offset = total / len(index)
    variance = np.maximum(squares / len(index) - np.square(mean_offset), 0.0)
    floor = np.concatenate(
        [np.full(block.size, STD_FLOOR[block.name]) for block in columns.state_blocks]
    )
    std = np.maximum(np.sqrt(variance), floor)
    return StateNormaliser(
        (shift + mean_offset).astype(np.float32), std.astype(np.float32), "fitted"
    )

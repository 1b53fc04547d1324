"""A small walking-like data set, written as the logger writes and read as the trainer reads."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rwmu_deploy.collection.transition_segment import EpisodeSpan, SegmentOrigin, write_segment
from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.dataset_loading import load_dataset

ORIGIN = SegmentOrigin("sim", "none: drawn", "none: drawn", "none: drawn")


def drawn_rows(spec: RobotSpec, count: int, seed: int) -> np.ndarray:
    """Smooth random states whose joints follow the actions with a lag."""
    columns = TransitionColumns.of(spec)
    rng = np.random.default_rng(seed)
    rows = np.zeros((count, columns.count))
    joints = np.zeros(spec.joint_count)
    action = np.zeros(spec.joint_count)
    velocity = np.zeros(6)
    for row in rows:
        action = 0.8 * action + 0.3 * rng.normal(size=spec.joint_count)
        moved = 0.3 * (spec.action_scale * action - joints)
        joints = joints + moved
        velocity = 0.95 * velocity + 0.05 * rng.normal(size=6)
        row[columns.base_linear_velocity_mps.slice] = velocity[:3]
        row[columns.base_angular_velocity_radps.slice] = velocity[3:]
        row[columns.projected_gravity.slice] = (0.0, 0.0, -1.0)
        row[columns.joint_position_offset_rad.slice] = joints
        row[columns.joint_velocity_radps.slice] = moved / spec.control_dt_s
        row[columns.joint_torque_nm.slice] = 20.0 * (spec.action_scale * action - joints)
        row[columns.action.slice] = action
        row[columns.contact.slice] = rng.random(8) < 0.5
    return rows


@pytest.fixture(scope="session")
def spec() -> RobotSpec:
    return load_robot_spec("anymal_d")


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory, spec: RobotSpec) -> Path:
    """900 rows in 6 episodes of 150; the last one ends in a fall."""
    folder = tmp_path_factory.mktemp("small_data")
    rows = drawn_rows(spec, 900, seed=0)
    rows[-1, -1] = 1.0
    spans = [
        EpisodeSpan(
            150 * i, 150 * i + 149, "terminated" if i == 5 else "truncated", (0.1 * i, 0, 0)
        )
        for i in range(6)
    ]
    write_segment(folder, spec, rows, spans, ORIGIN)
    return folder


@pytest.fixture(scope="session")
def small_dataset(small_folder: Path, spec: RobotSpec) -> TransitionDataset:
    return load_dataset(small_folder, spec)


@pytest.fixture(scope="session")
def released_vectors() -> dict[str, torch.Tensor]:
    """What the public code's own module computed; `test_released_checkpoint.py` says how."""
    return load_file(Path(__file__).parent / "world_model" / "released_vectors.safetensors")


@pytest.fixture
def released_weights(released_vectors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state dictionary of that module; a test may spoil it."""
    return {
        name.removeprefix("weights."): value.clone()
        for name, value in released_vectors.items()
        if name.startswith("weights.")
    }


@pytest.fixture
def released_pt(released_weights: dict[str, torch.Tensor], tmp_path: Path) -> Path:
    """Its checkpoint, with the other things that the public code puts there."""
    path = tmp_path / "released.pt"
    weights = torch.nn.Parameter(torch.ones(2))
    optimiser = torch.optim.Adam([weights])
    weights.sum().backward()
    optimiser.step()
    document = {
        "model_state_dict": {"actor.0.weight": torch.ones(2, 2)},
        "system_dynamics_state_dict": released_weights,
        "optimizer_state_dict": optimiser.state_dict(),
        "iter": 5000,
        "infos": None,
    }
    torch.save(document, path)
    return path


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Small products are faster on one thread, and do not disturb their neighbours."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

"""How well the velocity of a walking robot is estimated, against what the simulator knows.

    python benchmarks/velocity_estimate.py

Robots walk with a bundle at 0.5 and 1.0 m/s: nominal ones, on slippery ground, with pushes, and
field robots. Contacts are estimated from joint torques too, as on a robot that feels nothing.
`--follow` lets the policy see the estimate in place of the true velocity. JSON at the end.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from rwmu_deploy.contract.robot_spec import RobotSpec, load_robot_spec
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_deploy.runtime.contact_estimate import ContactEstimate
from rwmu_deploy.runtime.velocity_estimate import VelocityEstimate
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_deploy.simulation.robot_variant import FIELD, NOMINAL, RobotVariant
from rwmu_train.environment.observation_torch import build_observation
from rwmu_train.reference.bundle_policy import load_bundle_policy

FloatArray = NDArray[np.float64]
SHIPPED = Path(__file__).resolve().parents[1] / "exports" / "anymal_d_flat"
SLIPPERY = replace(NOMINAL, name="slip", ground_friction=(0.4, 0.4))
CASES: dict[str, tuple[RobotVariant, float]] = {
    "nominal": (NOMINAL, 0.0),
    "slip": (SLIPPERY, 0.0),
    "push": (NOMINAL, 0.5),
    "field": (FIELD, 0.0),
}
"""Variant, and the size of pushes [m/s]."""
PUSH_EVERY_S = 2.0
BEGIN_S = 1.0
"""What the robots do first is no walking."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=SHIPPED)
    parser.add_argument("--robot", default="anymal_d")
    parser.add_argument("--robots", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--speeds", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--follow", action="store_true", help="the policy sees the estimate")
    options = parser.parse_args()
    spec = load_robot_spec(options.robot)
    act = load_bundle_policy(options.bundle, spec)
    table = Table(title="velocity of the base: RMS error [m/s]")
    for name in ("robots", "told [m/s]", "walked [m/s]", "x", "y", "z", "falls"):
        table.add_column(name, justify="left" if name == "robots" else "right")
    figures: dict[str, Any] = {"options": {k: str(v) for k, v in vars(options).items()}}
    pairs = [(name, speed) for name in CASES for speed in options.speeds]
    for name, speed in track(pairs, "walking"):
        found = _walk(spec, act, *CASES[name], speed, options)
        figures[f"{name} {speed:g}"] = found
        errors = [f"{value:.3f}" for value in found["rms_mps"]]
        table.add_row(
            name, f"{speed:g}", f"{found['walked_mps']:.2f}", *errors, str(found["falls"])
        )
    Console().print(table)
    print(json.dumps(figures, indent=1))


def _walk(
    spec: RobotSpec,
    act: Any,
    variant: RobotVariant,
    push_mps: float,
    speed_mps: float,
    options: argparse.Namespace,
) -> dict[str, Any]:
    n, dt_s = options.robots, spec.control_dt_s
    columns, velocity = TransitionColumns.of(spec), VelocityEstimate(spec)
    batch = RobotBatch(spec, n, seed=options.seed, variant=variant)
    contacts = [ContactEstimate(spec) for _ in range(n)]
    rng = np.random.default_rng(options.seed)
    told = torch.zeros(n, 3)
    told[:, 0] = speed_mps
    action = np.zeros((n, spec.joint_count))
    true, estimated, falls = [], [], 0
    state = seen = batch.state()
    for tick in range(1, round(options.seconds / dt_s) + 1):
        if push_mps and tick % round(PUSH_EVERY_S / dt_s) == 0:
            batch.push(np.arange(n), rng.uniform(-push_mps, push_mps, (n, 2)))
        observation = build_observation(
            columns,
            torch.from_numpy((seen if options.follow else state).astype(np.float32)),
            told,
            torch.from_numpy(action.astype(np.float32)),
        )
        action = act(observation).numpy().astype(np.float64)
        outcome = batch.step(action)
        state = outcome.state
        position = state[:, columns.joint_position_offset_rad.slice] + spec.default_position_rad
        rates = state[:, columns.joint_velocity_radps.slice]
        torque = state[:, columns.joint_torque_nm.slice]
        gravity = state[:, columns.projected_gravity.slice]
        stands = np.stack(
            [
                each.step(tick * dt_s, position[i], rates[i], torque[i], gravity[i])
                for i, each in enumerate(contacts)
            ]
        )
        omega = state[:, columns.base_angular_velocity_radps.slice]
        estimate = velocity.step(tick * dt_s, position, rates, omega, stands)
        seen = state.copy()
        seen[:, columns.base_linear_velocity_mps.slice] = estimate
        if tick * dt_s > BEGIN_S:
            true.append(outcome.true_state[:, columns.base_linear_velocity_mps.slice])
            estimated.append(estimate)
        fell = np.flatnonzero(outcome.fell)
        if len(fell):
            falls += len(fell)
            batch.reset(fell)
            action[fell] = 0.0
            state = seen = batch.state()
    batch.close()
    error = np.array(estimated) - np.array(true)
    return {
        "rms_mps": np.sqrt((error**2).mean(axis=(0, 1))).tolist(),
        "mean_mps": error.mean(axis=(0, 1)).tolist(),
        "walked_mps": float(np.array(true)[..., 0].mean()),
        "falls": falls,
    }


if __name__ == "__main__":
    main()

"""How often contacts of the feet are estimated right, against those that the simulator knows.

    rwmu-collect --bundle exports/anymal_d_flat --out runs/walk --hours 0.2 --fast
    python benchmarks/contact_estimate.py runs/walk/data

Logged folders with measured or simulated contacts; JSON at the end.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.runtime.contact_estimate import ContactEstimate
from rwmu_train.transitions.dataset_loading import load_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dir", type=Path, nargs="+", help="folders of transitions")
    parser.add_argument("--robot", default="anymal_d")
    options = parser.parse_args()
    figures = {str(place): _figures(place, options.robot) for place in options.dir}
    table = Table(title="feet in contact, estimated from joint torques")
    for name in ("data", "foot", "rows", "in contact", "precision", "recall", "right"):
        table.add_column(name, justify="left" if name in ("data", "foot") else "right")
    for place, feet in figures.items():
        for foot, found in feet.items():
            shares = (f"{found[name]:.3f}" for name in ("contact", "precision", "recall", "right"))
            table.add_row(place, foot, f"{found['rows']:.0f}", *shares)
    Console().print(table)
    print(json.dumps(figures, indent=1))


def _figures(place: Path, robot: str) -> dict[str, dict[str, float]]:
    spec = load_robot_spec(robot)
    dataset = load_dataset([place], spec)
    columns, rows = dataset.columns, dataset.rows.astype(np.float64)
    position = rows[:, columns.joint_position_offset_rad.slice] + spec.default_position_rad
    velocity = rows[:, columns.joint_velocity_radps.slice]
    torque = rows[:, columns.joint_torque_nm.slice]
    gravity = rows[:, columns.projected_gravity.slice]
    truth = rows[:, columns.contact.slice] > 0.5
    estimate = ContactEstimate(spec)
    found = np.zeros(truth.shape, dtype=bool)
    for row in range(len(rows)):
        time_s = row * spec.control_dt_s
        found[row] = estimate.step(time_s, position[row], velocity[row], torque[row], gravity[row])
    feet = [spec.contact_names.index(name) for name in spec.foot_names]
    return {
        name: _scores(found[:, foot], truth[:, foot])
        for name, foot in [*zip(spec.foot_names, feet, strict=True), ("all", feet)]
    }


def _scores(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    both = float((found & truth).sum())
    return {
        "rows": float(truth.size),
        "contact": float(truth.mean()),
        "precision": both / max(1.0, float(found.sum())),
        "recall": both / max(1.0, float(truth.sum())),
        "right": float((found == truth).mean()),
    }


if __name__ == "__main__":
    main()

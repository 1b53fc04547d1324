"""How many control steps a second: the shipped world model against the simulated robot.

Both run in turns in one process, so that a busy machine slows both alike; read the ratio.

    python benchmarks/imagination_against_physics.py --robots 512 --rounds 5
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch

from rwmu_deploy.contract.asset_folder import asset_path
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_train.environment.chosen_robots import ListedRobots
from rwmu_train.environment.dynamics import Dynamics
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics
from rwmu_train.imagination.imagined_dynamics import ImaginationSettings, ImaginedDynamics
from rwmu_train.transitions.dataset_loading import load_dataset
from rwmu_train.world_model.checkpoint import load_world_model

STEPS = 20


def main() -> None:
    """Print one JSON document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--robots", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    spec = load_robot_spec("anymal_d")
    dataset = load_dataset(asset_path("data", "anymal_d_flat"), spec)
    model, facts = load_world_model(asset_path("models", "anymal_d_flat"), spec)
    settings = ImaginationSettings(robots=options.robots)
    with RobotBatch(spec, options.robots, seed=0) as batch:
        physics = SimulatedDynamics(batch)
        imagination = ImaginedDynamics(
            model, dataset, facts.normaliser, facts.history, settings, seed=0
        )
        imagination.reset(ListedRobots(torch.arange(options.robots)))
        rates = {"physics": [], "imagination": []}
        for _ in range(options.rounds):
            rates["physics"].append(_steps_per_second(physics))
            rates["imagination"].append(_steps_per_second(imagination))
    ratios = [i / p for i, p in zip(rates["imagination"], rates["physics"], strict=True)]
    document = {
        "robots": options.robots,
        "control_steps_per_second": {k: round(statistics.median(v)) for k, v in rates.items()},
        "imagination_over_physics": {
            "median": round(statistics.median(ratios), 3),
            "all": [round(ratio, 3) for ratio in ratios],
        },
    }
    print(json.dumps(document, indent=1))


def _steps_per_second(dynamics: Dynamics) -> float:
    action = 0.1 * torch.randn(dynamics.count, 12)
    began = time.perf_counter()
    for _ in range(STEPS):
        dynamics.step(action)
    return STEPS * dynamics.count / (time.perf_counter() - began)


if __name__ == "__main__":
    main()

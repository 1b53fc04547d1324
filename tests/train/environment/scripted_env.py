"""An environment whose robots do what a test says."""

import torch

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_train.environment.chosen_robots import ListedRobots
from rwmu_train.environment.dynamics import DynamicsOutcome
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.task.velocity_task import (
    EpisodeTiming,
    ObservationNoise,
    RewardShape,
    find_task,
)

SPEC = load_robot_spec("anymal_d")
TASK = find_task("anymal_d_flat")


class ScriptedDynamics:
    """Robots that do what a test says, and remember what was asked of them."""

    device = "cpu"

    def __init__(self, count: int) -> None:
        self.count = count
        self.next_fell = torch.zeros(count, dtype=torch.bool)
        self.next_uncertainty = torch.zeros(count)
        self.contact = torch.zeros(count, 8)
        self.actions: list[torch.Tensor] = []
        self.resets: list[list[int]] = []
        self.pushes: list[list[int]] = []

    def upright(self, count: int) -> torch.Tensor:
        state = torch.zeros(count, 45)
        state[:, 8] = -1.0
        return state

    def reset(self, who: ListedRobots) -> tuple[torch.Tensor, torch.Tensor]:
        self.resets.append(who.index.tolist())
        return self.upright(who.count), torch.full((who.count, 12), 0.25)

    def step(self, action: torch.Tensor) -> DynamicsOutcome:
        self.actions.append(action)
        return DynamicsOutcome(
            self.upright(self.count),
            self.contact,
            self.next_fell,
            self.next_uncertainty,
            torch.zeros(self.count, 0),
        )

    def push(self, who: ListedRobots, velocity_mps: torch.Tensor) -> torch.Tensor:
        self.pushes.append(who.index.tolist())
        state = self.upright(who.count)
        state[:, :2] = velocity_mps
        return state


def make(count: int = 3, **reward) -> tuple[VelocityEnv, ScriptedDynamics]:
    dynamics = ScriptedDynamics(count)
    settings = EnvSettings(
        EpisodeTiming(episode_steps=10, command_steps=(4, 4), push_steps=(3, 3)),
        RewardShape(**reward),
        ObservationNoise(scale=0.0),
    )
    return VelocityEnv(SPEC, TASK, settings, dynamics, seed=0), dynamics


def zeros(env: VelocityEnv) -> torch.Tensor:
    return torch.zeros(env.num_envs, env.num_actions)

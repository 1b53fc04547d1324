"""Several processes train one policy: each on robots of its own, all with the same weights."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import distributed, multiprocessing

from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.simulation.robot_batch import RobotBatch
from rwmu_train.environment.simulated_dynamics import SimulatedDynamics
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.policy.clone_trust_region import CloneTrustRegion
from rwmu_train.policy.demonstrations import Demonstrations
from rwmu_train.policy.ppo_runner import PpoRunner, seed_everything
from rwmu_train.policy.ppo_settings import PpoSettings
from rwmu_train.processes.process_share import ProcessShare
from rwmu_train.task.velocity_task import EpisodeTiming, ObservationNoise, RewardShape, find_task

SPEC, TASK = load_robot_spec("anymal_d"), find_task("anymal_d_flat")


def train(rank: int, processes: int, folder: str) -> None:
    """Three iterations; leaves the weights and where this process's robots are."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store{processes}", rank=rank, world_size=processes
    )
    share = ProcessShare(rank, processes)
    seed_everything(0)
    with RobotBatch(SPEC, 4, seed=share.own_seed(0), threads=1) as batch:
        settings = EnvSettings(EpisodeTiming(), RewardShape(), ObservationNoise())
        env = VelocityEnv(SPEC, TASK, settings, SimulatedDynamics(batch), seed=share.own_seed(0))
        ppo = PpoSettings(iterations=3, steps_per_iteration=8)
        runner = PpoRunner(env, ppo, Path(folder, "events"), share)
        observation = torch.randn(50, 48, generator=torch.Generator().manual_seed(1))
        demonstrations = Demonstrations(observation, torch.zeros(50, 12))
        held = CloneTrustRegion(
            runner.actor, demonstrations, env.actor_view, weight=0.1, batch_size=10, seed=0
        )
        runner.add_actor_loss(held.loss)
        reports: list[int] = []
        runner.on_iteration = lambda report: reports.append(report.iteration)
        runner.train()
        assert reports == ([1, 2, 3] if rank == 0 else [])
        weights = {f"policy.{k}": v for k, v in runner.alg.actor.state_dict().items()}
        weights |= {f"value.{k}": v for k, v in runner.alg.critic.state_dict().items()}
        found = {**weights, "state": env.state, "rate": torch.tensor(runner.alg.learning_rate)}
        save_file(
            {k: v.contiguous() for k, v in found.items()}, Path(folder, f"{rank}.{processes}")
        )
    distributed.destroy_process_group()


def test_processes_stay_alike_and_learn_from_the_robots_of_all(tmp_path: Path) -> None:
    for processes in (1, 2):
        multiprocessing.spawn(train, (processes, str(tmp_path)), nprocs=processes)
    first, second, alone = (load_file(tmp_path / name) for name in ("0.2", "1.2", "0.1"))
    assert not torch.equal(first.pop("state"), second.pop("state"))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    assert not torch.equal(first["policy.mlp.0.weight"], alone["policy.mlp.0.weight"])

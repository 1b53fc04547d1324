"""An imagined step can be captured: it leaves nothing but tensors, and asks the device nothing.

No GPU takes part, but for the last test, which needs one. Replayed operator by operator, a
captured step equals the one that Python takes; on torch's meta device, which knows no values and
refuses tensors of other devices, it needs neither.
"""

import copy
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rwmu_train.environment.captured_env import FIRST_STEPS, STEPS_BETWEEN_VISITS, CapturedEnv
from rwmu_train.environment.chosen_robots import MaskedRobots
from rwmu_train.environment.cuda_graph import CudaGraph
from rwmu_train.environment.early_end import EarlyEnd, EarlyEndLimits
from rwmu_train.environment.velocity_env import EnvSettings, VelocityEnv
from rwmu_train.imagination.imagined_dynamics import ImaginationSettings, ImaginedDynamics
from rwmu_train.imagination.range_guard import RangeGuard
from rwmu_train.task.velocity_task import (
    EpisodeTiming,
    ObservationNoise,
    RewardShape,
    find_task,
)
from rwmu_train.transitions.normaliser import released_normaliser
from rwmu_train.world_model.ensemble import Architecture, WorldModel
from tests.train.imagination.tape_graph import TapeGraph

ROBOTS, STEPS = 12, 80
TASK = find_task("anymal_d_flat")
SETTINGS = EnvSettings(
    EpisodeTiming(episode_steps=20, command_steps=(3, 6), push_steps=(4, 7)),
    RewardShape(uncertainty_weight=0.1, termination_penalty=1.0),
    ObservationNoise(),
)


@pytest.fixture(params=["shared", "separate"])
def model(request) -> WorldModel:
    torch.manual_seed(0)
    trunks = request.param
    auxiliary = "own_trunk" if trunks == "shared" else "state_trunk"
    sizes = {"members": 5, "hidden": 16, "head_hidden": 8}
    architecture = Architecture(45, 12, 8, trunks=trunks, auxiliary=auxiliary, **sizes)
    model = WorldModel(architecture).eval()
    with torch.no_grad():  # some fall in every step
        model.auxiliary_heads.output_bias[..., 8] -= 1.0
    return model


def imagined(model, dataset, device="cpu", precision="float32") -> ImaginedDynamics:
    return ImaginedDynamics(
        copy.deepcopy(model),
        dataset,
        released_normaliser(dataset.spec),
        8,
        replace(ImaginationSettings(robots=ROBOTS), precision=precision),
        seed=0,
        device=device,
    )


def guarded(dynamics, dataset) -> EarlyEnd:
    """With all that wraps imagined robots in training."""
    lowest, highest = torch.tensor([[-2.0], [2.0]], device=dynamics.device).expand(2, 45)
    guard = RangeGuard(dynamics, dataset.columns, lowest, highest)
    return EarlyEnd(guard, dataset.spec, EarlyEndLimits(undesired_contact=True))


def captured_beside_plain(model, dataset, graph, device="cpu", precision="float32"):
    """Two environments, equal but that one of them is captured, and their dynamics."""
    plain, captured = (imagined(model, dataset, device, precision) for _ in range(2))
    what = (dataset.spec, TASK, SETTINGS)
    return (
        VelocityEnv(*what, guarded(plain, dataset), seed=0, choose=MaskedRobots),
        CapturedEnv(
            *what,
            guarded(captured, dataset),
            seed=0,
            graph=graph,
            between_steps=captured.refill_starts,
        ),
        plain,
    )


def assert_they_take_the_same_steps(plain, captured, dynamics) -> None:
    generator = torch.Generator().manual_seed(5)
    ended, kept = 0, []
    for number in range(STEPS):
        if number == 2:  # as rsl_rl does before it learns
            ages = torch.randint(20, (ROBOTS,), generator=generator).to(plain.device)
            plain.episode_length_buf = captured.episode_length_buf = ages
        action = (0.3 * torch.randn(ROBOTS, 12, generator=generator)).to(plain.device)
        if number % STEPS_BETWEEN_VISITS == 0:
            dynamics.refill_starts()
        expected, found = plain.step(action), captured.step(action)
        ended += int(expected[2].sum())
        kept.append((expected, found))
    # Compared at the end: a later step must not have changed what an earlier one returned.
    for expected, found in kept:
        for name in ("policy", "critic"):
            torch.testing.assert_close(found[0][name], expected[0][name], rtol=0, atol=0)
        for ours, theirs in zip(found[1:3], expected[1:3], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
        assert found[3]["log"].keys() == expected[3]["log"].keys()
        for extra in ("log", "time_outs"):
            torch.testing.assert_close(
                found[3][extra], expected[3][extra], rtol=0, atol=0, equal_nan=True
            )
        torch.testing.assert_close(found[3]["outcome"].state, expected[3]["outcome"].state)
    assert ended > 4 * ROBOTS + 10  # new histories were needed


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_replayed_step_equals_one_that_python_takes(model, small_dataset, precision) -> None:
    with torch.inference_mode():  # as in rsl_rl's rollouts
        plain, captured, dynamics = captured_beside_plain(
            model, small_dataset, TapeGraph, precision=precision
        )
        assert_they_take_the_same_steps(plain, captured, dynamics)


def test_the_first_steps_are_taken_and_the_next_is_captured_once(model, small_dataset) -> None:
    _, captured, _ = captured_beside_plain(model, small_dataset, TapeGraph)
    with torch.inference_mode():
        for _ in range(FIRST_STEPS):
            captured.step(torch.zeros(ROBOTS, 12))
        assert not captured._graph.calls
        captured.step(torch.zeros(ROBOTS, 12))
        calls = len(captured._graph.calls)
        captured.step(torch.zeros(ROBOTS, 12))
    assert len(captured._graph.calls) == calls > 100


class OneDevice(TorchDispatchMode):
    """Refuses operators on tensors of several devices, indices included."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, torch.Tensor)]
        devices = {tensor.device.type for tensor in tensors}
        assert devices <= {"meta"}, f"{func} on {devices}"
        return result


def test_a_step_asks_the_device_for_no_number_and_brings_it_none(
    model, small_dataset, monkeypatch
) -> None:
    make_generator = torch.Generator
    monkeypatch.setattr(torch, "Generator", lambda _: make_generator())  # meta has none
    dynamics = imagined(model, small_dataset, "meta")
    env = VelocityEnv(
        small_dataset.spec,
        TASK,
        SETTINGS,
        guarded(dynamics, small_dataset),
        seed=0,
        choose=MaskedRobots,
    )
    action = torch.zeros(ROBOTS, 12, device="meta")
    with torch.inference_mode():
        env.step(action)  # makes the sums of an episode
        with OneDevice():
            observation, rewards, _, extras = env.step(action)
    assert observation["policy"].shape == (ROBOTS, 48)
    assert rewards.shape == (ROBOTS,)
    assert "Episode/fell" in extras["log"]


def test_robots_told_by_number_do_ask(model, small_dataset, monkeypatch) -> None:
    """That the test above can fail."""
    make_generator = torch.Generator
    monkeypatch.setattr(torch, "Generator", lambda _: make_generator())
    dynamics = imagined(model, small_dataset, "meta")
    with pytest.raises((RuntimeError, NotImplementedError)):
        VelocityEnv(small_dataset.spec, TASK, SETTINGS, dynamics, seed=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_cuda_graph_equals_steps_taken_one_by_one(model, small_dataset, precision) -> None:
    with torch.inference_mode():
        plain, captured, dynamics = captured_beside_plain(
            model, small_dataset, CudaGraph, "cuda", precision
        )
        assert_they_take_the_same_steps(plain, captured, dynamics)

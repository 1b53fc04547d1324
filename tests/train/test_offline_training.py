"""Policy training that stops at any iteration goes on to a whole result."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rwmu_deploy.contract.errors import CheckpointError, ConfigError
from rwmu_deploy.contract.policy_bundle import PolicyBundle
from rwmu_deploy.runtime.observation_check import ObservationCheck
from rwmu_train import imagined_ppo
from rwmu_train.environment.captured_env import CapturedEnv
from rwmu_train.export.bundle_export import export_bundle
from rwmu_train.imagined_ppo import ImaginedPpo, PolicyCallbacks
from rwmu_train.offline_training import Judge, last_policy, train_policy
from rwmu_train.policy.clone_trust_region import CloneTrustRegion
from rwmu_train.policy.demonstrations import Answers, CloningSettings
from rwmu_train.policy.policy_checkpoint import load_policy
from rwmu_train.presets import PRESETS
from rwmu_train.task.velocity_task import ObservationNoise, find_task
from rwmu_train.transitions.normaliser import released_normaliser
from rwmu_train.world_model.checkpoint import load_world_model
from rwmu_train.world_model.settings import WORLD_MODEL_PRESETS
from rwmu_train.world_model.training import train_world_model
from tests.train.imagination.tape_graph import TapeGraph
from tests.train.policy.test_demonstrations import collected_by

QUICK_JUDGE = Judge("first weight", lambda network: float(network.mlp[0].weight.detach()[0, 0]))
TASK = find_task("anymal_d_flat")
QUICK = PRESETS["quick"]
SMALL = replace(
    QUICK,
    imagination=replace(
        QUICK.imagination, robots=8, end_above_uncertainty=math.inf, most_out_of_range=1.0
    ),
    early_end=None,
    ppo=replace(
        QUICK.ppo,
        iterations=12,
        steps_per_iteration=4,
        hidden=(16,),
        critic_warm_up_iterations=2,
        checkpoint_every=4,
    ),
    cloning=CloningSettings(steps=20, batch_size=64),
)


@pytest.fixture(scope="module")
def model_folder(small_dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    settings = replace(
        WORLD_MODEL_PRESETS["quick"], iterations=2, batch_size=40, validate_every=2, hidden=16
    )
    normaliser = released_normaliser(small_dataset.spec)
    train_world_model(small_dataset, normaliser, settings, folder, seed=0)
    return folder


@pytest.fixture
def train(small_dataset, model_folder: Path):
    """Train a policy with the small preset; says what was done."""

    def run(
        folder: Path,
        preset=SMALL,
        stop_at: int = 0,
        edge: float | None = None,
        dataset=small_dataset,
        **options,
    ):
        model, facts = load_world_model(model_folder, small_dataset.spec)
        if edge is not None:
            model.know_range(torch.full((45,), -edge), torch.full((45,), edge))
        done: dict[str, list] = {
            "begun": [],
            "collectors": [],
            "mean": [],
            "cloned": [],
            "iterations": [],
        }

        def on_iteration(report, policy) -> None:
            done["iterations"].append(report.iteration)
            if report.iteration == stop_at:
                raise KeyboardInterrupt

        callbacks = PolicyCallbacks(
            on_begin=done["begun"].append,
            on_collectors_step=lambda step, loss: done["collectors"].append(step),
            on_mean_answers=done["mean"].append,
            on_cloning_step=lambda step, loss: done["cloned"].append(step),
            on_iteration=on_iteration,
        )
        arguments = (dataset, model, facts, model_folder, TASK, preset, folder)
        options = {"seed": 0, "judge": QUICK_JUDGE, "callbacks": callbacks} | options
        if stop_at:
            with pytest.raises(KeyboardInterrupt):
                train_policy(*arguments, **options)
            return None, done
        return train_policy(*arguments, **options), done

    return run


@pytest.mark.parametrize(("stop_at", "kept"), [(1, 0), (4, 0), (5, 4), (11, 8), (12, 8)])
def test_a_training_that_stops_goes_on_after_its_last_checkpoint(
    train, tmp_path: Path, stop_at: int, kept: int
) -> None:
    train(tmp_path, stop_at=stop_at)
    assert not (tmp_path / "policy.safetensors").exists()
    choice, done = train(tmp_path, resume=True)
    assert done["begun"] == [kept]
    assert done["cloned"] == []  # the start is kept too
    assert done["iterations"] == list(range(kept + 1, 13))
    assert set(choice.scores) == {0, 10, 12}
    policy, facts = load_policy(tmp_path)
    assert facts.seed == 0
    for name, value in choice.network.state_dict().items():
        torch.testing.assert_close(policy.state_dict()[name], value, rtol=0, atol=0)


def test_a_finished_training_is_left_as_it_is(train, tmp_path: Path) -> None:
    first, _ = train(tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    second, done = train(tmp_path, resume=True)
    assert not any(done.values())
    assert (second.iteration, second.scores) == (first.iteration, first.scores)
    assert files == {path: path.stat().st_mtime_ns for path in files}
    (tmp_path / "policy.json").unlink()  # as if it had been killed just before the end
    train(tmp_path, resume=True)
    assert load_policy(tmp_path)


def test_two_resumptions_of_one_checkpoint_end_alike(train, tmp_path: Path) -> None:
    ends = []
    for name in ("one", "two"):
        train(tmp_path / name, stop_at=9, judge=None)
        choice, _ = train(tmp_path / name, resume=True, judge=None)
        ends.append(choice.scores)
    assert ends[0] == ends[1]


def test_the_clone_that_a_policy_is_held_near_to_stays_the_same(
    train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clones = []

    class Watched(CloneTrustRegion):
        def __init__(self, actor, *arguments, **options) -> None:
            clones.append(actor.mlp[0].weight.detach().clone())
            super().__init__(actor, *arguments, **options)

    monkeypatch.setattr(imagined_ppo, "CloneTrustRegion", Watched)
    held = replace(SMALL, cloning=replace(SMALL.cloning, trust_region_weight=1.0))
    train(tmp_path, held, stop_at=9)
    train(tmp_path, held, resume=True)
    torch.testing.assert_close(clones[1], clones[0], rtol=0, atol=0)


def test_a_finished_training_can_be_made_longer(train, tmp_path: Path) -> None:
    train(tmp_path)
    longer = replace(SMALL, ppo=replace(SMALL.ppo, iterations=13))
    choice, done = train(tmp_path, longer, resume=True)
    assert (done["begun"], done["iterations"]) == ([12], [13])
    assert set(choice.scores) == {0, 10, 12, 13}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 1}, "seed 0; now it is 1"),
        ({"judge": None}, "judge first weight; now it is imagination"),
        (
            {"preset": replace(SMALL, reward=replace(SMALL.reward, uncertainty_weight=1.0))},
            r"reward.uncertainty_weight 2.0; now it is 1.0",
        ),
        ({"preset": replace(SMALL, cloning=None)}, "cloning.steps 20; now it is None"),
    ],
)
def test_other_settings_are_refused(train, tmp_path: Path, change: dict, said: str) -> None:
    train(tmp_path, stop_at=1)
    with pytest.raises(ConfigError, match=said):
        train(tmp_path, resume=True, **change)


def test_a_judge_chooses_instead_of_imagination(train, tmp_path: Path) -> None:
    scores = iter([0.2, 0.9, 0.5])
    choice, _ = train(tmp_path, judge=Judge("dice", lambda network: next(scores)))
    assert (choice.iteration, choice.scores) == (10, {0: 0.2, 10: 0.9, 12: 0.5})


def test_the_last_policy_is_there_beside_the_chosen_one(
    train, small_dataset, model_folder, tmp_path: Path
) -> None:
    model, facts = load_world_model(model_folder, small_dataset.spec)

    def last() -> dict[str, torch.Tensor]:
        training = ImaginedPpo(small_dataset, model, facts, TASK, SMALL, seed=0)
        return last_policy(training, model_folder, tmp_path).state_dict()

    with pytest.raises(CheckpointError, match="holds no training of a policy"):
        last()
    trained: list[dict[str, torch.Tensor]] = []
    told = PolicyCallbacks(on_iteration=lambda _, policy: trained.append(policy.state_dict()))
    choice, _ = train(tmp_path, judge=None, callbacks=told)
    random_numbers = torch.get_rng_state()
    for name, value in last().items():
        torch.testing.assert_close(value, trained[-1][name], rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), random_numbers)
    first, chosen = trained[0]["mlp.0.weight"], choice.network.state_dict()["mlp.0.weight"]
    assert not torch.equal(last()["mlp.0.weight"], first)
    assert torch.equal(last()["mlp.0.weight"], chosen) == (choice.iteration == 12)


def test_imagination_that_leaves_the_models_range_stops_the_training(
    train, tmp_path: Path
) -> None:
    strict = replace(SMALL, imagination=replace(SMALL.imagination, most_out_of_range=0.5))
    said = r"in 100.00% of the imagined steps of iteration 1 .* allowed is 50.00%"
    with pytest.raises(ConfigError, match=said):
        train(tmp_path / "strict", strict, edge=1e-3)
    reports = []
    callbacks = PolicyCallbacks(on_iteration=lambda report, policy: reports.append(report))
    train(tmp_path / "lenient", edge=1e-3, callbacks=callbacks)
    assert reports[0].out_of_range == 1.0
    assert reports[1].episode["length"] == 1.0
    assert reports[1].episode["fell"] == 1.0


def test_a_training_that_left_the_models_range_goes_on_when_more_is_allowed(
    train, tmp_path: Path
) -> None:
    strict = replace(SMALL, imagination=replace(SMALL.imagination, most_out_of_range=0.5))
    with pytest.raises(ConfigError, match="--resume with a higher"):
        train(tmp_path, strict, edge=1e-3)
    _, done = train(tmp_path, edge=1e-3, resume=True)
    assert done["cloned"] == []
    assert done["iterations"] == list(range(1, 13))


def test_the_events_hold_every_reward_term_and_what_imagination_is_worth(
    train, tmp_path: Path
) -> None:
    train(tmp_path, replace(SMALL, ppo=replace(SMALL.ppo, iterations=1)), edge=1e-3)
    events = EventAccumulator(str(tmp_path / "ppo"))
    events.Reload()
    names = {f"Episode/{term}" for term in TASK.reward_weights}
    names |= {"Episode/uncertainty", "Episode/length", "Episode/fell", "Imagination/out_of_range"}
    assert names <= set(events.Tags()["scalars"])
    assert events.Scalars("Imagination/out_of_range")[0].value == 1.0


@pytest.mark.parametrize(
    ("answers", "collectors", "learned"),
    [("mean", ("a", "b"), True), ("mean", ("a",), False), ("logged", ("a", "b"), False)],
)
def test_what_several_collectors_do_is_learned_before_their_mean_is_cloned(
    train, small_dataset, tmp_path: Path, answers: Answers, collectors: tuple[str, ...], learned
) -> None:
    who = [(collectors[i % len(collectors)], 0.0) for i in range(6)]
    data = collected_by(small_dataset, *who)
    preset = replace(SMALL, cloning=CloningSettings(steps=20, batch_size=64, answers=answers))
    _, done = train(tmp_path, preset, dataset=data)
    steps = list(range(1, 21))
    assert done["collectors"] == (steps if learned else [])
    assert len(done["mean"]) == learned
    assert done["cloned"] == steps


def test_a_policy_without_base_velocity_is_one_on_the_robot_too(train, tmp_path: Path) -> None:
    unseen = ObservationNoise(unseen=("base_linear_velocity_mps",))
    cloning = replace(SMALL.cloning or CloningSettings(), trust_region_weight=0.1)
    run = tmp_path / "run"
    train(run, replace(SMALL, noise=unseen, cloning=cloning))
    bundle = PolicyBundle.load(export_bundle(run, tmp_path / "bundle"))
    observation = bundle.golden_observations[1].copy()
    lost = observation.copy()
    lost[:3] = 1e3  # an odometry that has lost its way
    np.testing.assert_array_equal(bundle.action(observation), bundle.action(lost))
    check = ObservationCheck(bundle.observation_range, bundle.spec.safety)
    assert check.verdict(lost) is None
    lost[3:6] = 1e3
    assert check.verdict(lost) is not None


def test_a_policy_trains_on_captured_steps_as_on_a_gpu(train, tmp_path: Path, monkeypatch) -> None:
    def captured(spec, task, settings, imagined, *, seed, ended) -> CapturedEnv:
        return CapturedEnv(
            spec,
            task,
            settings,
            ended,
            seed=seed,
            graph=TapeGraph,
            between_steps=imagined.refill_starts,
        )

    monkeypatch.setattr(imagined_ppo, "imagined_env", captured)
    reports = []
    preset = replace(SMALL, timing=replace(SMALL.timing, episode_steps=6))
    callbacks = PolicyCallbacks(on_iteration=lambda report, _: reports.append(report))
    choice, _ = train(tmp_path, preset, callbacks=callbacks)
    assert set(choice.scores) == {0, 10, 12}
    # Steps in which no episode ended have no means, and leave no NaN in those of an iteration.
    ended = [report for report in reports if report.episode]
    assert len(ended) > 6
    for report in ended:
        assert all(math.isfinite(value) for value in report.episode.values())
        assert 1 <= report.episode["length"] <= 6
    assert load_policy(tmp_path)

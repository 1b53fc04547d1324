"""Where online PPO begins from: what a policy or a gait does, learned in the simulated robot.

A humanoid under a fresh policy falls within a second or two, and a hundred iterations pass before
it stands. Taught by a policy that stands (`rwmu-export --onnx --stand`), it explores standing;
taught by a gait, walking.

First the teacher acts, then the pupil, and the teacher says what it would have done there (DAgger;
Ross, Gordon and Bagnell, AISTATS 2011): a pupil that saw the teacher's path only does not find
back to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from rwmu_train.environment.attended_robots import AttendedRobots
from rwmu_train.environment.velocity_env import VelocityEnv
from rwmu_train.policy.behaviour_cloning import clone_behaviour
from rwmu_train.policy.demonstrations import CloningSettings, Demonstrations
from rwmu_train.policy.demonstrator import Teaches
from rwmu_train.policy.ppo_runner import PpoRunner

ROUNDS = 4
"""In the first the teacher acts, in the others the pupil."""
STEPS = 100
"""Of every robot in a round, with the first policy's exploration."""
CLONING = CloningSettings(steps=3000)
"""Of a round, on everything seen so far."""
TAUGHT: Mapping[str, Any] = {
    "critic_warm_up_iterations": 5,
    "learning_rate": 1.0e-4,
    "critic_learning_rate": 1.0e-3,
    "desired_kl": 0.03,
    "normalise_observation": True,
    "mirror_samples": True,
}
"""PPO's settings for an actor that can do something already: the critic has to learn what that is
worth, and the actor not to forget it before. The divergence is summed over all actions: with 0.01
and 29 joints under little noise the adaptive rate stays at its floor. What teaches is the same in
the mirror."""


def learn_from(
    teacher: Teaches,
    runner: PpoRunner,
    env: VelocityEnv,
    *,
    seed: int,
    on_step: Callable[[int, float], None] | None = None,
) -> float:
    """Fit the runner's actor to a teacher's answers.

    Args:
        teacher: Whom to imitate.
        runner: A fresh one on `env`; its normalisers learn what is seen too.
        env: The robots; they go on from where teacher and pupil leave them.
        seed: Of the noise and of the fitting.
        on_step: Progress of the fitting: steps done of all rounds, and the latest squared error.

    Returns:
        Root mean square error of the action in the last round.
    """
    generator = torch.Generator().manual_seed(seed)
    seen, answers, error = [], [], 0.0
    robots = AttendedRobots(env, teacher.for_robots(env.num_envs))
    for number in range(ROUNDS):
        with torch.no_grad():
            for _ in range(STEPS):
                observation = env.get_observations()
                if number == 0:
                    runner.actor.update_normalization(observation)
                    runner.alg.critic.update_normalization(observation)
                # Answers to what the actor sees, noise included: to the truth behind it they would
                # teach smaller gains, with which a robot that balances falls.
                actor_sees = observation["policy"]
                hidden = env.actor_view.seen == 0
                teacher_sees = torch.where(hidden, observation["critic"], actor_sees)
                answer = robots.answer(teacher_sees)
                seen.append(actor_sees)
                answers.append(answer)
                mean = answer if number == 0 else _pupils(runner, actor_sees)
                noise = torch.randn(answer.shape, generator=generator)
                robots.step(mean + runner.settings.initial_std * noise)
        shown = Demonstrations(torch.cat(seen), torch.cat(answers))
        done = number * CLONING.steps
        error = clone_behaviour(
            runner.actor,
            shown,
            _as_it_is,
            CLONING,
            seed=seed + number,
            on_step=None if on_step is None else _later(on_step, done),
        )
    return error


def _pupils(runner: PpoRunner, observation: Tensor) -> Tensor:
    return runner.actor.mlp(runner.actor.obs_normalizer(observation))


def _later(on_step: Callable[[int, float], None], done: int) -> Callable[[int, float], None]:
    return lambda step, loss: on_step(done + step, loss)


def _as_it_is(observation: Tensor, _: torch.Generator) -> Tensor:
    return observation

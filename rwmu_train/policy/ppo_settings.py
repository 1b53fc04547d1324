"""PPO's settings, as rsl_rl wants them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rwmu_train.policy.symmetry import append_mirrored


@dataclass(frozen=True)
class PpoSettings:
    """Proximal policy optimisation by rsl_rl 5 (RWM-U, arXiv:2504.16680, tables S8 and S11)."""

    iterations: int = 250
    """Rollout-and-update cycles."""
    steps_per_iteration: int = 24
    """Steps of every robot in a cycle."""
    learning_rate: float = 1.0e-3
    """At the start; it then follows the KL target. Adam's first steps are as long as this whatever
    the gradient: 1e-3 suits a standard deviation of 1. A cloned actor with 0.2 needs about 2e-5,
    or its first update already leaves the behaviour that it starts from."""
    critic_learning_rate: float | None = None
    """The critic's own, constant rate; None shares the actor's. An actor with small noise is held
    to small steps, and a critic that shared them would never learn what its actions are worth."""
    entropy_coefficient: float = 0.005
    desired_kl: float = 0.01
    clip: float = 0.2
    gamma: float = 0.99
    gae_lambda: float = 0.95
    """Not in the papers' tables; the released code's value."""
    epochs: int = 5
    minibatches: int = 4
    value_loss_coefficient: float = 1.0
    clip_value_loss: bool = True
    """Hold the critic near its last values; off, it learns faster what a given actor is worth."""
    max_gradient_norm: float = 1.0
    hidden: tuple[int, ...] = (128, 128, 128)
    """Hidden layers of actor and critic, ELU."""
    initial_std: float = 1.0
    """Standard deviation of the first policy's actions."""
    mirror_samples: bool = False
    """Learn from every sample and from its mirror image about the sagittal plane. Not for an actor
    cloned from behaviour: it is not symmetric, so the mirror images are far off its policy."""
    normalise_observation: bool = False
    """Running mean and standard deviation in front of the actor and the critic."""
    critic_warm_up_iterations: int = 0
    """First iterations, in which the actor is held still while the critic learns to judge it (for
    an actor that starts from cloned behaviour)."""
    checkpoint_every: int = 10
    """Iterations between checkpoints that a killed training goes on from."""

    def to_rsl_rl(self) -> dict[str, Any]:
        """A fresh configuration mapping (rsl_rl changes the one that it is given)."""
        network = {
            "class_name": "rsl_rl.models.MLPModel",
            "hidden_dims": list(self.hidden),
            "activation": "elu",
            "obs_normalization": self.normalise_observation,
        }
        distribution = {
            "class_name": "rsl_rl.modules.distribution.GaussianDistribution",
            "init_std": self.initial_std,
            "std_type": "log",
        }
        symmetry = {
            "data_augmentation_func": append_mirrored,
            "use_data_augmentation": True,
        }
        return {
            "num_steps_per_env": self.steps_per_iteration,
            "save_interval": self.checkpoint_every,
            "obs_groups": {"actor": ["policy"], "critic": ["critic"]},
            "logger": "tensorboard",
            "actor": {**network, "distribution_cfg": distribution},
            "critic": dict(network),
            "algorithm": {
                "class_name": "rsl_rl.algorithms.PPO",
                "num_learning_epochs": self.epochs,
                "num_mini_batches": self.minibatches,
                "clip_param": self.clip,
                "gamma": self.gamma,
                "lam": self.gae_lambda,
                "value_loss_coef": self.value_loss_coefficient,
                "entropy_coef": self.entropy_coefficient,
                "learning_rate": self.learning_rate,
                "max_grad_norm": self.max_gradient_norm,
                "use_clipped_value_loss": self.clip_value_loss,
                "schedule": "adaptive",
                "desired_kl": self.desired_kl,
                "optimizer": "adam",
                "rnd_cfg": None,
                "symmetry_cfg": symmetry if self.mirror_samples else None,
            },
        }

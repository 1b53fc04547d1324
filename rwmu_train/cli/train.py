"""`rwmu-train`: from logged transitions to a policy.

rwmu-train --task TASK --preset quick --data DIR               world model, then policy
rwmu-train --stage world-model --data DIR                      the world model alone
rwmu-train --stage policy --data DIR --world-model DIR         the policy alone
rwmu-train --data DIR --seeds 5 --run RUN                      five policies, mean and spread
rwmu-train --data DIR --run RUN --resume                       go on after a power cut
rwmu-train --method online-ppo                                 PPO in the simulated robot

torchrun --nproc-per-node 2 -m -- rwmu_train.cli.train --data DIR --run RUN
                                                               on two processes

Each run leaves one folder: config.json, checkpoints, TensorBoard events, summary.json.
Exit code 0: trained. 2: bad input.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rwmu_deploy.cli.command_line import run_command
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.simulation.robot_variant import find_variant
from rwmu_train.cli.train_offline_command import train_offline
from rwmu_train.cli.train_online_command import train_in_simulation
from rwmu_train.cli.train_options import refuse_contradictions, train_parser, use_device
from rwmu_train.cli.wandb_mirror import require_wandb
from rwmu_train.processes.joined_processes import joined_processes
from rwmu_train.processes.process_share import ProcessShare
from rwmu_train.task.velocity_task import find_task


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_command(lambda: _joined(arguments))


def _joined(arguments: Sequence[str] | None) -> int:
    with joined_processes() as share:
        return _main(arguments, share)


def _main(arguments: Sequence[str] | None, share: ProcessShare) -> int:
    options = train_parser(__doc__ or "").parse_args(arguments)
    refuse_contradictions(options, share)
    task = find_task(options.task)
    find_variant(options.score_variant)
    find_variant(options.train_variant)
    spec = load_robot_spec(task.robot)
    use_device(options)
    require_wandb(options.wandb)
    if options.method == "online-ppo":
        return train_in_simulation(options, task, spec, share)
    return train_offline(options, task, spec, share)


if __name__ == "__main__":
    sys.exit(main())

"""`rwmu-eval sim-and-field`: how much data of the real robot should there be?"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.robot_spec import load_robot_spec
from rwmu_deploy.simulation.robot_variant import FIELD
from rwmu_train.cli.study_arguments import add_study_arguments, chosen_preset, run_and_show
from rwmu_train.cli.study_recording import record_sets
from rwmu_train.policy.policy_checkpoint import load_policy
from rwmu_train.presets import ONLINE, online_preset
from rwmu_train.reference.named_sets import NAMED_SETS
from rwmu_train.studies.data_quality import refuse_no_penalty
from rwmu_train.studies.offline_cell import Judging, OfflineWork
from rwmu_train.studies.sim_and_field import Online, Parts, sim_and_field
from rwmu_train.task.velocity_task import find_task


def add_sim_and_field_command(commands: Any) -> None:
    """Add the subcommand to `rwmu-eval`."""
    parser = commands.add_parser(
        "sim-and-field", help="policies from mixes of nominal and field data, judged in the field"
    )
    add = parser.add_argument
    add(
        "--policies",
        type=Path,
        nargs="+",
        required=True,
        metavar="RUN",
        help="runs of online PPO in the nominal robot, whose stages record; the last walks best",
    )
    add(
        "--online",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="runs of online PPO to compare with; without, one is trained for each seed",
    )
    add("--online-iterations", type=int, default=ONLINE.ppo.iterations, metavar="N")
    add("--rows", type=int, default=1_000_000, help="of each mix (default %(default)s)")
    names = ", ".join(name for name, one in NAMED_SETS.items() if one.needs_policies)
    add("--sim-set", default="mixed", help=f"of {names} (default %(default)s)")
    add("--field-set", default="expert", help="as the paper's real robot (default %(default)s)")
    add_study_arguments(parser, trains_world_model=True)
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    preset = chosen_preset(options)
    refuse_no_penalty(preset)
    if not options.online_iterations >= 1:
        raise ConfigError(
            f"--online-iterations is {options.online_iterations}; allowed is 1 up",
            fix="Correct it.",
        )
    judging = Judging(FIELD.name, options.episodes, options.seconds)
    task = find_task(options.task)
    spec = load_robot_spec(task.robot)
    parts = Parts.of(options.rows, options.policies, options.sim_set, options.field_set)
    for run in options.online:
        load_policy(run)
    sim = {f"sim_{number}": part for number, part in enumerate(parts.sim)}
    field = {f"field_{number}": part for number, part in enumerate(parts.field)}
    for part in (*parts.sim, *parts.field):
        part.refuse_short_episodes(2 * preset.world_model.sequence_rows)
    online = online_preset(task)
    ppo = replace(online.ppo, iterations=options.online_iterations)
    found, data = record_sets({**sim, **field}, options.out, spec, task)
    study = sim_and_field(
        OfflineWork(task.name, preset, (), (), judging),
        [found[name] for name in sim],
        [found[name] for name in field],
        options.rows,
        options.seeds,
        options.one_world_model,
        parts.field[0].policies[-1],
        Online(options.online, replace(online, ppo=ppo)),
        {"data": data},
    )
    return run_and_show(study, options)

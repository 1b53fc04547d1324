"""`rwmu-run` from arguments to exit code, with a real bundle and the simulated robot."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from rwmu_deploy.cli.command_line import run_command
from rwmu_deploy.cli.run import main, run
from rwmu_deploy.cli.run_plan import RunPlan
from rwmu_deploy.cli.stop_signals import StopSignals
from rwmu_deploy.contract.command_range import CommandRange
from rwmu_deploy.contract.errors import ConfigError

torch = pytest.importorskip("torch")


@pytest.fixture(scope="session")
def standing_bundle(tmp_path_factory, spec):
    """A policy of zeros, whatever it sees."""
    from rwmu_train.export.bundle_export import export_bundle
    from rwmu_train.policy.policy_checkpoint import PolicyFacts, save_policy
    from rwmu_train.policy.policy_network import PolicyNetwork

    torch.manual_seed(0)
    network = PolicyNetwork(spec, (8,), "elu")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    facts = PolicyFacts(
        robot=spec,
        task="standing",
        command_range=CommandRange((-0.5, -0.5, -1.0), (0.5, 0.5, 1.0)),
        training_method="none",
        run_name="standing",
        seed=0,
    )
    folder = tmp_path_factory.mktemp("standing")
    save_policy(folder / "run", network, facts)
    return export_bundle(folder / "run", folder / "bundle")


def skip_if_too_busy(summary):
    if any("watchdog" in reason for reason in summary["reasons"]):
        pytest.skip("this machine is too busy for 50 Hz; the watchdog stopped the loop")


def test_fast_run_stands_logs_and_sums_up(standing_bundle, tmp_path, capsys):
    arguments = ["--bundle", str(standing_bundle), "--seconds", "2", "--fast"]
    arguments += ["--command", "9", "-0.1", "0", "--log", str(tmp_path / "log")]
    assert main([*arguments, "--json", str(tmp_path / "run.json")]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert out.startswith("rwmu-run: 211 ticks; ended in RUN")
    summary = json.loads((tmp_path / "run.json").read_text())
    assert summary["velocity_command"] == [0.5, -0.1, 0.0]
    assert summary["log"]["rows"] == 100
    assert summary["faults"] == {"stop": 1}
    assert not summary["fell"]
    rows = np.loadtxt(tmp_path / "log" / "state_action_data_0.csv", delimiter=",")
    assert rows.shape == (100, 66)
    meta = json.loads((tmp_path / "log" / "state_action_data_0.meta.json").read_text())
    assert meta["bundle_sha256"] == summary["bundle_sha256"]


def test_the_field_robot_stands_and_its_log_says_which_robot_it_was(standing_bundle, tmp_path):
    arguments = ["--bundle", str(standing_bundle), "--seconds", "1", "--fast"]
    arguments += ["--variant", "field", "--seed", "4", "--log", str(tmp_path / "log")]
    assert main([*arguments, "--json", str(tmp_path / "run.json")]) == 0
    assert json.loads((tmp_path / "run.json").read_text())["variant"] == "field"
    meta = json.loads((tmp_path / "log" / "state_action_data_0.meta.json").read_text())
    assert meta["source"] == "sim"
    assert (meta["variant"]["name"], meta["variant"]["seed"]) == ("field", 4)
    assert meta["variant"]["payload_mass_kg"] == 3.0


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--variant", "feild"], "Did you mean 'field'"), (["--seed", "-1"], "--seed is -1")],
)
def test_unknown_robots_are_refused_before_anything_moves(words, said, capsys):
    assert main(["--bundle", "anywhere", *words]) == 2
    assert said in capsys.readouterr().err


def test_real_time_run_keeps_fifty_hertz(standing_bundle, tmp_path):
    arguments = ["--bundle", str(standing_bundle), "--seconds", "0.5"]
    code = main([*arguments, "--json", str(tmp_path / "run.json")])
    summary = json.loads((tmp_path / "run.json").read_text())
    skip_if_too_busy(summary)
    assert code == 0
    assert summary["real_time"]
    assert summary["period_error_median_s"] < 0.002
    assert summary["phases"]["policy"] >= 25


def test_robot_that_falls_is_told_and_fails_the_command(spec, tmp_path):
    class Flail:
        def __init__(self):
            self.rng = np.random.default_rng(2)

        def action(self, observation):
            return self.rng.normal(0.0, 4.0, 12)

    wide = CommandRange((-1, -1, -1), (1, 1, 1))
    plan = RunPlan(spec, Flail(), wide, (0.5, 0.0, 0.0), 20.0, True, tmp_path, None)
    summary = run(plan, StopSignals())
    assert not summary["healthy"]
    assert summary["state"] == "DAMP"
    assert summary["reasons"]
    # Every tick of the policy in RUN is a row, and so is the fall if it is what ended RUN.
    assert summary["log"]["rows"] - (summary["states"]["RUN"] - 101) in (0, 1)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--bundle", "nowhere"], "nowhere"),
        ([], "--bundle"),
        (["--bundle", "x", "--robot", "real"], "--robot"),
        (["--bundle", "x", "--seconds", "0"], "--seconds"),
        (["--bundle", "x", "--seconds", "nan"], "--seconds"),
        (["--bundle", "x", "--command", "nan", "0", "0"], "--command"),
        (["--bundle", "x", "--command", "1", "0"], "--command"),
        (["--bundle", "x", "--speed", "3"], "--speed"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, named, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert named in captured.err


def test_interrupt_while_starting_is_exit_code_130(capsys):
    def interrupted():
        raise KeyboardInterrupt

    assert run_command(interrupted) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_error_with_line_breaks_stays_one_line(capsys):
    def fail():
        raise ConfigError("one\ntwo", fix="three")

    assert run_command(fail) == 2
    assert capsys.readouterr().err == "error: one two. three\n"


def test_our_own_mistakes_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: 1 // 0)


@pytest.mark.parametrize(
    ("number", "mode"),
    [
        (signal.SIGINT, ["--fast"]),
        (signal.SIGTERM, ["--fast"]),
        (signal.SIGHUP, ["--fast"]),
        (signal.SIGINT, []),
    ],
)
def test_signal_ends_through_damping_with_the_log_closed(standing_bundle, tmp_path, number, mode):
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "rwmu_deploy.cli.run", "--bundle", str(standing_bundle)),
            *("--seconds", "36000", *mode),
            *("--log", str(tmp_path / "log"), "--json", str(tmp_path / "r.json")),
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while process.poll() is None:
            journals = list((tmp_path / "log").glob("*.journal"))
            if journals and journals[0].stat().st_size > 20_000:
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=60.0)
    finally:
        process.kill()
    assert "Traceback" not in err
    assert out.startswith("rwmu-run: ")
    summary = json.loads((tmp_path / "r.json").read_text())
    skip_if_too_busy(summary)
    assert process.returncode == 128 + number
    assert summary["states"]["STOPPED"] >= 10
    assert summary["log"]["rows"] > 10
    assert list((tmp_path / "log").glob("*.journal")) == []

"""A signal is acted on at once, whatever the main thread does and whichever thread gets it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "ros2_ws" / "src" / "rwmu_deploy"
# A thread that was there before, as a numerical library's are, and a main thread that sleeps on.
SLEEPER = """
import threading, time
threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
from rwmu_ros.stop_signals import StopSignals
signals = StopSignals(
    on_end=lambda name: print("end", name, flush=True),
    on_estop=lambda name: print("estop", name, flush=True),
)
print("ready", flush=True)
{main}
"""
SLEEPS = "time.sleep(20)"
# The main thread itself does not take the signal: only the other one can.
DEAF = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32)); time.sleep(20)"


@pytest.mark.parametrize("main", [SLEEPS, DEAF])
def test_signals_are_acted_on_while_the_main_thread_sleeps(main: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER.format(main=main)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
            kind = "estop" if number == signal.SIGUSR1 else "end"
            assert process.stdout.readline() == f"{kind} {number.name}\n"
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

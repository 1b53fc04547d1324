"""The corruption measure, in small: everything is refused before onnxruntime sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_broken_or_hostile_bundle_is_refused_without_a_session_or_much_memory(
    exported_bundle: Path, tmp_path: Path, trials, count
):
    # A process of its own, because the measure forks, and this one may have threads.
    subprocess.run(
        [
            *(sys.executable, str(ROOT / "benchmarks" / "bundle_corruption.py")),
            *("--bundle", str(exported_bundle)),
            *("--flips", str(count(40, 2000)), "--truncations", str(count(10, 300))),
            *("--json", str(tmp_path / "found.json")),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    untouched, *broken = json.loads((tmp_path / "found.json").read_text())["groups"]
    assert (untouched["said"], untouched["crashed"]) == ("loaded", 0)
    # The counter counts: what is good needs a session for every model.
    assert untouched["sessions"] == len(list(exported_bundle.glob("*.onnx")))
    assert [each for each in broken if each["refused"] != each["tried"] or each["sessions"]] == []
    assert max(each["memory_growth_mb"] for each in broken) < 200.0

    files = {path.name for path in exported_bundle.iterdir()}
    assert {each["file"] for each in broken if each["what"] == "one bit flipped"} == files
    # What is bent on purpose is refused for what it is, not for a hash that was forgotten.
    bent = {each["what"]: each["said"] for each in broken if each["file"] == "policy.onnx"}
    for what, said in {
        "external data '/etc/hostname'": "outside the model",
        "custom operator": "operator 'Evil'",
        "custom domain": "'com.evil'",
        "operator Loop": "'Loop'",
        "operator Scan": "'Scan'",
        "operator If": "'If'",
        "subgraph below Elu": "field 6",
        "local function": "field 25",
        "dimension 'batch'": "dimension 'batch'",
        "declared 10 GB": "shape [50000, 50000]",
        "declared 10 GB in a constant": "shape [50000, 50000]",
        "of another bundle, hashes agree": "state different facts",
        "pipe": "not a regular file",
        "file of 10 GB": "more than 16000000 bytes",
    }.items():
        assert said in bent[what]
    trials("T-21", sum(each["tried"] for each in broken))

"""One gradient step of the world model: ours, the released code's, and what the machine can do.

All take turns in one process, so that a busy machine slows all alike; read the ratios. Every way
learns from the same number of random windows. `paper` computes what the released code does, with
the sizes of RWM-U (arXiv:2504.16680), table S7; `default` is the world model that we recommend, in
bfloat16 where the processor has it, `default_float32` the same without. The released code
(rsl_rl_rwm) needs a checkout.

    python benchmarks/world_model_step.py --batches 256 1024 --released rsl_rl_rwm
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from rwmu_train.world_model.ensemble import WorldModel
from rwmu_train.world_model.multi_step_loss import SequenceBatch, multi_step_loss
from rwmu_train.world_model.precision import (
    has_bfloat16_products,
    keep_freed_memory,
    product_dtype,
)
from rwmu_train.world_model.settings import WORLD_MODEL_PRESETS, WorldModelSettings

STATE, ACTION, CONTACT = 45, 12, 8
MATRIX = 2048


def main() -> None:
    """Print one JSON document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--released", type=Path, help="checkout of rsl_rl_rwm")
    options = parser.parse_args()
    torch.manual_seed(0)
    keep_freed_memory()
    document: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "bfloat16_products": has_bfloat16_products(),
    }
    for batch in options.batches:
        document[f"batch_{batch}"] = compare(batch, options.rounds, options.released)
    print(json.dumps(document, indent=1))


def compare(batch: int, rounds: int, checkout: Path | None) -> dict[str, Any]:
    """Seconds of every way to make a step, and ratios within each round."""
    settings = {
        name: of_batch(replace(WORLD_MODEL_PRESETS[preset], precision=precision), batch)
        for preset in ("paper", "default")
        for name, precision in ((preset, "auto"), (f"{preset}_float32", "float32"))
    }
    ways: dict[str, Callable[[], object]] = {
        name: our_step(each) for name, each in settings.items()
    }
    if checkout is not None:
        ways["released"] = released_step(checkout, batch)
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.randn(MATRIX, MATRIX).to(dtype)
        ways[_product(dtype)] = partial(torch.matmul, matrix, matrix)
    for step in ways.values():
        step()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, step in ways.items():
            began = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - began)
    windows = {name: each.batch_size for name, each in settings.items()} | {"released": batch}
    rate = {
        name: [windows[name] / s for s in all_s]
        for name, all_s in seconds.items()
        if name in windows
    }
    peak = {
        dtype: 2.0 * MATRIX**3 / min(seconds[_product(dtype)])
        for dtype in (torch.float32, torch.bfloat16)
    }
    operations = {name: step_operations(each) for name, each in settings.items()}
    found: dict[str, Any] = {
        "median_s": {name: round(statistics.median(all_s), 4) for name, all_s in seconds.items()},
        "windows_per_s": {name: round(statistics.median(each)) for name, each in rate.items()},
        "matrix_product_gflops": {str(d): round(p / 1e9, 1) for d, p in peak.items()},
        "share_of_matrix_product": {
            name: round(
                operations[name] / min(seconds[name]) / peak[product_dtype(each.precision)], 3
            )
            for name, each in settings.items()
        },
        "mflop_per_window": {
            name: round(operations[name] / each.batch_size / 1e6, 1)
            for name, each in settings.items()
        },
    }
    if checkout is not None:
        found["windows_per_s_over_released"] = {
            name: [round(o / r, 1) for r, o in zip(rate["released"], rate[name], strict=True)]
            for name in settings
        }
    return found


def _product(dtype: torch.dtype) -> str:
    return f"matrix_product_{str(dtype).removeprefix('torch.')}"


def of_batch(preset: WorldModelSettings, windows: int) -> WorldModelSettings:
    """The preset with about so many windows, in whole branches and members."""
    unit = preset.branches * (preset.members if preset.bootstrap == "by_episode" else 1)
    return replace(preset, batch_size=max(1, round(windows / unit)) * unit)


def our_step(settings: WorldModelSettings) -> Callable[[], object]:
    """Loss and gradient of our model."""
    model = WorldModel(settings.architecture(STATE, ACTION, CONTACT, 0))
    model.multiply_in(product_dtype(settings.precision))
    rows, count = settings.sequence_rows, settings.sequences
    batch = SequenceBatch(
        state=torch.randn(rows, count, STATE),
        action=torch.randn(rows, count, ACTION),
        contact=torch.randint(2, (rows, count, CONTACT)).float(),
        termination=torch.zeros(rows, count),
        extension=torch.zeros(rows, count, 0),
    )
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        model.zero_grad(set_to_none=True)
        multi_step_loss(model, batch, settings, generator).total.backward()

    return step


def released_step(checkout: Path, batch: int) -> Callable[[], object]:
    """Loss and gradient of the released module, as its trainer calls it."""
    ours = {name: m for name, m in sys.modules.items() if name.split(".")[0] == "rsl_rl"}
    for name in ours:
        del sys.modules[name]
    with mock.patch.object(sys, "path", [str(checkout), *sys.path]):
        from rsl_rl.modules.system_dynamics import (  # pyright: ignore[reportMissingImports]
            SystemDynamicsEnsemble,
        )
    settings = WORLD_MODEL_PRESETS["paper"]
    model = SystemDynamicsEnsemble(
        STATE,
        ACTION,
        0,
        CONTACT,
        1,
        "cpu",
        ensemble_size=settings.members,
        history_horizon=settings.history,
        architecture_config={
            "type": "rnn",
            "rnn_type": "gru",
            "rnn_num_layers": 2,
            "rnn_hidden_size": 256,
            "state_mean_shape": [128],
            "state_logstd_shape": [128],
            "extension_shape": [128],
            "contact_shape": [128],
            "termination_shape": [128],
        },
    )
    rows = settings.history + settings.forecast
    data: tuple[Tensor | None, ...] = (
        torch.randn(batch, rows, STATE),
        torch.randn(batch, rows, ACTION),
        None,
        torch.randint(2, (batch, rows, CONTACT)).float(),
        torch.zeros(batch, rows, 1),
    )

    def step() -> None:
        model.zero_grad(set_to_none=True)
        model.reset()
        losses = model.compute_loss(*data, bootstrap=True)
        torch.stack([losses[i] for i in (0, 2, 5, 6)]).sum().backward()

    return step


def step_operations(settings: WorldModelSettings) -> float:
    """Floating-point operations of the matrix products in a step, forward and backward."""
    hidden, head, members = settings.hidden, settings.head_hidden, settings.members
    inputs = STATE + ACTION
    cell = 2.0 * 3.0 * hidden * (inputs + hidden + 2 * hidden * (settings.layers - 1))
    heads = 2.0 * head * (hidden + STATE) * (2 if settings.loss == "sampled_mse" else 1)
    auxiliary = 2.0 * head * (hidden + CONTACT + 1)
    split = members if settings.bootstrap == "by_episode" else 1
    trunks = members if settings.trunks == "separate" else 1
    encoded = settings.sequences * settings.encoded_steps
    forecasts = settings.batch_size * members / split
    forward = encoded * (trunks if split == 1 else 1) * cell
    forward += forecasts * ((settings.forecast - 1) * cell + settings.forecast * heads)
    if settings.history_loss_weight > 0.0:
        forward += encoded * members / split * heads
    if settings.auxiliary == "own_trunk":
        rows = settings.sequences * (settings.sequence_rows - 1)
        forward += rows * (cell + members / split * auxiliary)
    else:
        rows = encoded * members / split + forecasts * (settings.forecast - 1)
        forward += rows * auxiliary
    return 3.0 * forward


if __name__ == "__main__":
    main()

"""Precision of matrix products: bfloat16 only where the processor multiplies it."""

from __future__ import annotations

import ctypes
from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT_BYTES = 1 << 30


def product_dtype(precision: Precision, device: str = "cpu") -> torch.dtype:
    """The dtype that a setting means on a device; `auto` is bfloat16 where that is fast.

    Processors without bfloat16 products compute them too, but slower than in float32.
    """
    fast = has_bfloat16_products() if device == "cpu" else torch.cuda.is_bf16_supported()
    if precision == "bfloat16" or (precision == "auto" and fast):
        return torch.bfloat16
    return torch.float32


def has_bfloat16_products() -> bool:
    """Whether this processor has AVX-512-BF16 or AMX."""
    ask = getattr(torch.cpu, "get_capabilities", dict)  # older torch has none: float32
    names = ask()
    return bool(names.get("avx512_bf16") or names.get("amx_bf16"))


def keep_freed_memory() -> None:
    """Tell glibc not to hand large freed blocks back to the system after every step.

    A training step frees and takes the same hundreds of megabytes again; fetching them anew, page
    by page, costs a third of the step's time. Without glibc nothing happens.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _LARGEST_KEPT_BYTES)

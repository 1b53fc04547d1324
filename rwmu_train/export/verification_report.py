"""What stands in a bundle beside what the robot reads, and was checked by nobody.

A hash only says that nothing changed since the export.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from rwmu_deploy.contract.bundle_files import REPORT_NAME
from rwmu_deploy.contract.errors import BundleError
from rwmu_train.export.parity import Comparison


@contextlib.contextmanager
def facts_as_exported(what: Path | str) -> Iterator[None]:
    """Turn what goes wrong on facts of another shape into one clear refusal.

    Raises:
        BundleError: `what` lacks a key, or has a value of the wrong kind.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BundleError(
            f"{what} is not as rwmu-export writes it "
            f"({type(error).__name__}: {' '.join(str(error).split())[:100]})",
            fix="Export the bundle again with rwmu-export --onnx.",
        ) from None


def read_report(folder: Path) -> dict[str, Any]:
    """verification.json: what the export compared before the bundle got its name.

    Raises:
        BundleError: It isn't what the export writes.
    """
    path = folder / REPORT_NAME
    with facts_as_exported(path):
        try:
            report = json.loads(path.read_text(encoding="ascii"))
        except OSError as error:
            raise BundleError(
                f"can't read {path}: {error.strerror}", fix="Copy the whole bundle again."
            ) from None
        for name, entry in report["compared"].items():
            for field in fields(Comparison):
                number = entry[field.name]
                if isinstance(number, bool) or not isinstance(number, int | float):
                    raise ValueError(f"{name} {field.name} is {number!r}")
        return report

"""A folder of data appears whole under its name, or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rwmu_deploy.contract.errors import LogError


def require_free(out: Path) -> None:
    """Refuse a place for new data that holds something.

    Raises:
        LogError: `out` is a file, or a folder that is not empty.
    """
    with writing(out):
        if not out.exists():
            return
        held = sorted(os.listdir(out)) if out.is_dir() else None
    if held == []:
        return
    what = "a file" if held is None else f"not empty: it holds {held[0]}"
    raise LogError(
        f"{out} is {what}; allowed is a new or an empty folder", fix="Name another folder."
    )


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to fill; it gets the name `out` when the block ends well, and is gone otherwise.

    Raises:
        LogError: `out` holds something, or the disk refuses.
    """
    require_free(out)
    out = Path(os.path.realpath(out))
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
        try:
            folder.chmod(0o755)
            yield folder
            os.replace(folder, out)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def writing(out: Path) -> Iterator[None]:
    """Say of a refusal of the disk what could not be written, and where."""
    try:
        yield
    except OSError as error:
        raise LogError(
            f"{out} can't be written: {error.strerror or error}",
            fix="Name a folder that you may write, on a disk with room.",
        ) from error

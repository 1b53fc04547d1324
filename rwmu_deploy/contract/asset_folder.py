"""Where the files that ship with rwmu lie: beside the sources, or inside the installed package."""

from __future__ import annotations

from pathlib import Path

from rwmu_deploy.contract.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parents[1]


def asset_path(*parts: str) -> Path:
    """Path under `assets/`, whether or not it exists.

    A checkout keeps the folder beside the packages; a wheel carries it inside `rwmu_deploy`.

    Raises:
        ConfigError: Neither place has an assets folder.
    """
    for root in (_PACKAGE.parent / "assets", _PACKAGE / "assets"):
        if root.is_dir():
            return root.joinpath(*parts)
    raise ConfigError(
        f"no assets folder beside or inside {_PACKAGE}", fix="Install rwmu again, whole."
    )

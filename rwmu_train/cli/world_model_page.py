"""What a world model is, for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rwmu_train.world_model.checkpoint import WorldModelFacts
from rwmu_train.world_model.ensemble import WorldModel


def facts_document(folder: Path, model: WorldModel, facts: WorldModelFacts) -> dict[str, Any]:
    """Everything but the weights and the robot's numbers."""
    return {
        "folder": str(folder),
        "robot": facts.spec.name,
        "control_dt_s": facts.spec.control_dt_s,
        "joint_names": list(facts.spec.joint_names),
        "architecture": asdict(facts.architecture),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "normaliser": facts.normaliser.name,
        "history": facts.history,
        "iteration": facts.iteration,
        "data_sha256": list(facts.data_sha256),
        "settings": dict(facts.settings),
        "held_out": dict(facts.held_out),
    }


def print_facts(console: Console, folder: Path, model: WorldModel, facts: WorldModelFacts) -> None:
    """Print the table of one world model."""
    table = Table(title=str(folder), show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in _rows(facts_document(folder, model, facts)):
        table.add_row(name, value)
    console.print(table)


def _rows(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    files = [sha256[:12] for sha256 in document["data_sha256"]]
    rows = [
        ("robot", f"{document['robot']}, {document['control_dt_s']} s a step"),
        ("parameters", f"{document['parameters']:,}"),
        ("normaliser", document["normaliser"]),
        ("history", f"{document['history']} rows"),
        ("iteration", f"{document['iteration']:,}"),
        ("data", f"{len(files)} files, SHA-256 {' '.join(files)}" if files else "not known"),
    ]
    for block in ("architecture", "settings", "held_out"):
        rows += [(f"{block} {name}", _text(value)) for name, value in document[block].items()]
    return rows if document["held_out"] else [*rows, ("held_out", "not evaluated")]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(entry)}" for name, entry in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value))
    return "-" if value is None else str(value)

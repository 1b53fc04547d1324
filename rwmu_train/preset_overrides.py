"""Settings of a preset by dotted name: `world_model.loss=gaussian_nll`.

Types are those of the dataclasses' annotations; a section is a dataclass inside another one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from rwmu_deploy.contract.errors import ConfigError
from rwmu_deploy.contract.named_choice import find_by_name

T = TypeVar("T")
_EXAMPLE = "Write for example: --set world_model.loss=gaussian_nll world_model.batch_size=640"


def with_overrides(settings: T, texts: Sequence[str]) -> T:
    """Frozen dataclasses with some fields replaced, all of a section at once.

    Args:
        settings: A dataclass instance.
        texts: NAME=VALUE each, where NAME has a dot for every section: "ppo.iterations=5". Values
            are written as in Python without quotes; `none` where nothing is allowed; tuples with
            commas.

    Raises:
        ConfigError: A text is not NAME=VALUE, a name stands twice or does not exist, or a value
            does not fit its field or its section.
    """
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals) or name in values:
            raise ConfigError(f"--set {text}; allowed is NAME=VALUE, each name once", fix=_EXAMPLE)
        values[name] = value
    return _replaced(settings, values, prefix="")


def _replaced(section: Any, values: Mapping[str, str], prefix: str) -> Any:
    kinds = get_type_hints(type(section))
    changes: dict[str, Any] = {}
    inner: dict[str, dict[str, str]] = {}
    for name, text in values.items():
        first, dot, rest = name.partition(".")
        kind = find_by_name(kinds, first, f"setting {prefix}")
        if dot:
            inner.setdefault(first, {})[rest] = text
        else:
            changes[first] = _parsed(kind, text, prefix + first, getattr(section, first))
    for name, own in inner.items():
        value = getattr(section, name)
        if not dataclasses.is_dataclass(value):
            raise ConfigError(
                f"{prefix}{name} is {value}, which has no {', '.join(own)}",
                fix="Choose a preset that has it.",
            )
        changes[name] = _replaced(value, own, f"{prefix}{name}.")
    return dataclasses.replace(section, **changes)


def _parsed(kind: Any, text: str, name: str, present: Any) -> Any:
    try:
        return _value(kind, text)
    except ValueError:
        pass
    if dataclasses.is_dataclass(present):
        fields = ", ".join(f"{name}.{field.name}" for field in dataclasses.fields(present))
        raise ConfigError(f"{name}={text}, but {name} is a section", fix=f"Set one of {fields}.")
    raise ConfigError(
        f"{name}={text}; allowed is {_described(kind)}, now it is {present}", fix="Correct it."
    )


def _value(kind: Any, text: str) -> Any:
    """Raises ValueError where the text is of another kind."""
    origin, options = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        (other,) = (option for option in options if option is not NoneType)
        return None if text == "none" else _value(other, text)
    if origin is Literal:
        return options[options.index(text)]
    if origin is tuple:
        parts = text.split(",")
        kinds = options[:1] * len(parts) if options[-1] is Ellipsis else options
        return tuple(_value(k, part) for k, part in zip(kinds, parts, strict=True))
    if kind is bool:
        return bool(("false", "true").index(text))
    if kind in (int, str) or (kind is float and not math.isnan(float(text))):
        return kind(text)
    raise ValueError


def _described(kind: Any) -> str:
    origin, options = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join("none" if o is NoneType else _described(o) for o in options)
    if origin is Literal:
        return ", ".join(options)
    if origin is tuple:
        return "numbers with commas between them"
    return {bool: "true or false", int: "a whole number", float: "a number"}.get(
        kind, "nothing on the command line"
    )

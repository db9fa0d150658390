"""Strict dataclasses from TOML and JSON, and the processors this process may use."""

from __future__ import annotations

import dataclasses
import difflib
import os
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from earthclip.errors import ConfigError

T = TypeVar("T")


def from_mapping(kind: type[T], mapping: object, where: str) -> T:
    """Build the dataclass ``kind`` from ``mapping``, checking every key and type.

    ``where`` names the source in messages, such as ``"configs/geoclip.toml"``. Nested dataclasses are tables, tuples
    are arrays, and an integer is taken where a float is declared. Raises ConfigError.
    """
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{where}: expected a table of keys, found {_show(mapping)}")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in mapping:
        if key not in fields:
            raise ConfigError(f"{where}: unknown key '{key}', {_hint(str(key), kind)}")
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in mapping:
            values[name] = _convert(hints[name], mapping[name], f"{where}: {name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{where}: missing key '{name}'")
    try:
        return kind(**values)
    except ConfigError as error:  # of the record's own checks, which do not know where it came from
        raise ConfigError(f"{where}: {error}") from error


def to_mapping(record: object) -> dict[str, Any]:
    """A dataclass as nested dictionaries and lists, ready for JSON; fields that are None are left out."""
    return typing.cast("dict[str, Any]", _plain(record))


def _hint(key: str, kind: type) -> str:
    """The nearest key of ``kind``, or of a table within it that has one much nearer, or all there are."""
    own = [field.name for field in dataclasses.fields(kind)]
    elsewhere = [(table, name) for table, names in _tables(kind).items() for name in names]
    if tables := [table for table, name in elsewhere if name == key]:
        return f"it belongs to [{tables[0]}]"
    if close := difflib.get_close_matches(key, own, n=1):
        return f"did you mean '{close[0]}'?"
    if close := difflib.get_close_matches(key, [name for _, name in elsewhere], n=1, cutoff=0.8):
        table = next(table for table, name in elsewhere if name == close[0])
        return f"did you mean '{close[0]}' of [{table}]?"
    return f"known keys: {', '.join(own)}"


def _tables(kind: type, prefix: str = "") -> dict[str, list[str]]:
    """Keys of the tables within ``kind``, by the tables' dotted names."""
    found: dict[str, list[str]] = {}
    for name, hint in typing.get_type_hints(kind).items():
        for inner in (hint, *typing.get_args(hint)):
            if isinstance(inner, type) and dataclasses.is_dataclass(inner):
                found[prefix + name] = [field.name for field in dataclasses.fields(inner)]
                found |= _tables(inner, f"{prefix}{name}.")
    return found


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value):
        pairs = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: _plain(item) for name, item in pairs if item is not None}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _convert(kind: Any, value: object, where: str) -> Any:
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return from_mapping(typing.cast("type[Any]", kind), value, where)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in typing.get_args(kind):
            return None
        return _convert(next(a for a in typing.get_args(kind) if a is not type(None)), value, where)
    if origin is typing.Literal:
        choices = typing.get_args(kind)
        if value in choices:
            return value
        raise ConfigError(f"{where}: expected one of {', '.join(map(str, choices))}, found {_show(value)}")
    if origin is tuple:
        return _convert_tuple(typing.get_args(kind), value, where)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: expected a table, found {_show(value)}")
        inner = typing.get_args(kind)[1]
        return {str(key): _convert(inner, item, f"{where}.{key}") for key, item in value.items()}
    if kind is Any:
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
        return value
    raise ConfigError(f"{where}: expected {kind.__name__}, found {_show(value)}")


def _convert_tuple(arguments: tuple[Any, ...], value: object, where: str) -> tuple[Any, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ConfigError(f"{where}: expected an array, found {_show(value)}")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(arguments) != len(value):
        raise ConfigError(f"{where}: expected an array of {len(arguments)}, found {len(value)} items")
    return tuple(_convert(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(arguments, value, strict=True)))


def _show(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:37] + '...'}"


_THREADS = "EARTHCLIP_THREADS"


def usable_processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def encoder_threads() -> int | None:
    """How many threads an encoder may use, from EARTHCLIP_THREADS; None (one for each processor) when that is not set.

    For machines shared without fences, where this process sees more processors than it should use. Raises ConfigError.
    """
    given = os.environ.get(_THREADS)
    if not given:
        return None
    if not given.isdecimal() or int(given) < 1:
        raise ConfigError(f"{_THREADS}={given}: expected a number of threads, at least 1; correct it, or unset it")
    return int(given)

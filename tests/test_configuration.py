from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from earthclip.configuration import from_mapping, to_mapping
from earthclip.errors import ConfigError


@dataclass(frozen=True)
class Schedule:
    learning_rate: float
    kind: Literal["cosine", "step"] = "cosine"
    warm_up: int | None = None


@dataclass(frozen=True)
class Config:
    name: str
    schedule: Schedule
    sigmas: tuple[float, ...] = (1.0,)
    size: tuple[int, int] = (64, 64)
    resume: bool = False
    weights: dict[str, float] = field(default_factory=dict)
    extra: Any = None


FULL = {
    "name": "small",
    "schedule": {"learning_rate": 1, "kind": "step", "warm_up": 5},
    "sigmas": [1, 4.0, 16],
    "size": [32, 48],
    "resume": True,
    "weights": {"a": 1},
    "extra": {"free": "form"},
}


def test_a_full_mapping_becomes_a_typed_record() -> None:
    config = from_mapping(Config, FULL, "c.toml")
    assert config.schedule == Schedule(1.0, "step", 5)
    assert isinstance(config.schedule.learning_rate, float)
    assert config.sigmas == (1.0, 4.0, 16.0)
    assert config.size == (32, 48)
    assert config.resume is True
    assert config.weights == {"a": 1.0}
    assert config.extra == {"free": "form"}


def test_defaults_fill_in_and_none_is_taken_where_allowed() -> None:
    config = from_mapping(Config, {"name": "x", "schedule": {"learning_rate": 0.1, "warm_up": None}}, "c.toml")
    assert config == Config("x", Schedule(0.1))


def test_records_return_through_json() -> None:
    config = from_mapping(Config, FULL, "c.toml")
    assert from_mapping(Config, json.loads(json.dumps(to_mapping(config))), "c.json") == config
    assert "warm_up" not in to_mapping(Schedule(0.1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nmae": "x"}, "^c.toml: unknown key 'nmae', did you mean 'name'\\?$"),
        ({"zzz": 1}, "^c.toml: unknown key 'zzz', known keys: name, schedule, sigmas"),
        (
            {"schedule": {"lerning_rate": 1}},
            "c.toml: schedule: unknown key 'lerning_rate', did you mean 'learning_rate'",
        ),
        ({"schedule": {}}, "c.toml: schedule: missing key 'learning_rate'"),
        ({"schedule": 3}, "c.toml: schedule: expected a table of keys, found int 3"),
        ({"schedule": {"learning_rate": "fast"}}, "learning_rate: expected float, found str 'fast'"),
        ({"schedule": {"learning_rate": True}}, "learning_rate: expected float, found bool True"),
        ({"schedule": {"learning_rate": 1, "kind": "flat"}}, "kind: expected one of cosine, step, found str 'flat'"),
        ({"schedule": {"learning_rate": 1, "warm_up": 1.5}}, "warm_up: expected int, found float 1.5"),
        ({"name": 3}, "name: expected str, found int 3"),
        ({"resume": 1}, "resume: expected bool, found int 1"),
        ({"sigmas": 4}, "sigmas: expected an array, found int 4"),
        ({"sigmas": "14"}, "sigmas: expected an array, found str '14'"),
        ({"sigmas": [1, "x"]}, r"sigmas\[1\]: expected float, found str 'x'"),
        ({"size": [1, 2, 3]}, "size: expected an array of 2, found 3 items"),
        ({"weights": [1]}, r"weights: expected a table, found list \[1\]"),
        ({"weights": {"a": "b"}}, "weights.a: expected float"),
        ({"name": ["x" * 100]}, r"found list \['x+\.\.\.$"),
    ],
)
def test_faults_name_the_key_and_the_fix(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(Config, FULL | change, "c.toml")


def test_a_missing_key_and_something_that_is_no_table() -> None:
    with pytest.raises(ConfigError, match=r"c.toml: missing key 'schedule'"):
        from_mapping(Config, {"name": "x"}, "c.toml")
    with pytest.raises(ConfigError, match=r"c.toml: expected a table of keys, found list"):
        from_mapping(Config, ["name"], "c.toml")

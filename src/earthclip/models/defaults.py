"""What ``earthclip.toml`` sets: the model, region, runtime and precision to use where none is given."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from earthclip.configuration import from_mapping
from earthclip.errors import ConfigError
from earthclip.models import Precision, Runtime

NAME = "earthclip.toml"


@dataclass(frozen=True)
class Defaults:
    """The keys of the file; None, or no region, where it says nothing."""

    model: str | None = None
    region: tuple[str, ...] = ()
    runtime: Runtime | None = None
    precision: Precision | None = None


def find_defaults() -> Path | None:
    """The file in the current folder, else the one in the user's configuration folder, else None."""
    from platformdirs import user_config_path

    paths = Path(NAME), user_config_path("earthclip") / NAME
    return next((path for path in paths if os.path.lexists(path)), None)  # a folder of that name is a mistake, and said


def read_defaults() -> Defaults:
    """What the file says that ``find_defaults`` finds. Raises ConfigError for an unknown key or a bad value."""
    path = find_defaults()
    if path is None:
        return Defaults()
    try:
        keys = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: expected a TOML file ({error}); see docs/command-line.md") from error
    except OSError as error:
        raise ConfigError(
            f"{path}: expected a file that can be read ({error.strerror}); remove or rename it"
        ) from error
    if isinstance(keys.get("region"), str):
        keys["region"] = [keys["region"]]
    return from_mapping(Defaults, keys, str(path))

"""The names models go by, and where each is found: built in, in the cache folder, or a path."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from earthclip.errors import ModelError
from earthclip.models.cache import home
from earthclip.models.folder import ModelFolder, open_folder
from earthclip.models.hub import snapshot

LOCAL_PREFIX = "local-dir:"
HUB_PREFIX = "hf-hub:"


@dataclass(frozen=True)
class KnownModel:
    """A model with a name of its own; ``size_bytes`` and ``fault`` are about the copy on this machine."""

    name: str
    purpose: str
    licence: str
    built_in: bool = False
    path: Path | None = None
    size_bytes: int | None = None  # None: not on this machine
    fault: str | None = None  # why the copy on this machine cannot be used


_KNOWN = {
    model.name: model
    for model in (
        KnownModel("orbit", "pictures of the Earth from above, 400-3000 km across", "MIT", built_in=True),
        KnownModel("geoclip", "photos taken on the ground (Vivanco Cepeda et al., NeurIPS 2023)", "MIT"),
    )
}


def resolve(source: str | Path) -> ModelFolder:
    """Find and check the model folder that ``source`` names; only what is named ``hf-hub:OWNER/NAME`` is downloaded.

    ``orbit`` and ``geoclip`` are names, also where a folder of that name exists; ``local-dir:PATH`` or any path is
    a folder. Raises ModelError saying what to type when the source is unknown or not on this machine.
    """
    text = str(source).strip()
    if isinstance(source, Path):
        return open_folder(source.expanduser())
    if text in _KNOWN:
        return _resolve_known(text)
    if text.startswith(LOCAL_PREFIX):
        return open_folder(Path(text.removeprefix(LOCAL_PREFIX)).expanduser())
    if text.startswith(HUB_PREFIX):
        repository = text.removeprefix(HUB_PREFIX)
        return open_folder(snapshot(repository, ("*",), ("config.json",)))
    path = Path(text).expanduser()
    if text and path.exists():
        return open_folder(path)
    if "/" in text or "\\" in text or text.startswith((".", "~")):
        raise ModelError(f"{text}: no such model folder; check the path, or use one of: {_names()}")
    close = difflib.get_close_matches(text, _KNOWN, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    raise ModelError(f"unknown model '{text}'; {hint}known: {_names()}; or type the path of a model folder")


def default_source() -> str:
    """What the command line uses unless told: ``geoclip`` where it is on this machine, else ``orbit``."""
    return "geoclip" if (_cached("geoclip") / "config.json").is_file() else "orbit"


def place_of(name: str) -> Path:
    """Where the model of that name stands, or would."""
    return _path_of(_KNOWN[name])


def list_models() -> list[KnownModel]:
    """The models with names of their own, with the state of each on this machine."""
    return [_inspect(model) for model in _KNOWN.values()]


def _resolve_known(name: str) -> ModelFolder:
    path = _path_of(_KNOWN[name])
    if (path / "config.json").is_file():
        return open_folder(path)
    if _KNOWN[name].built_in:
        raise ModelError(f"the built-in model '{name}' is missing from this installation; install earthclip again")
    raise ModelError(
        f"model '{name}' is not on this machine yet; earthclip pull {name}, or use 'orbit' for pictures from above"
    )


def _inspect(model: KnownModel) -> KnownModel:
    path = _path_of(model)
    if not (path / "config.json").is_file():
        return model
    size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    fault = None
    licence = model.licence
    try:
        licence = open_folder(path).config.licence
    except ModelError as error:
        fault = str(error)
    return KnownModel(model.name, model.purpose, licence, model.built_in, path, size, fault)


def _path_of(model: KnownModel) -> Path:
    if model.built_in:
        return Path(str(resources.files("earthclip.models").joinpath("builtin", model.name)))
    return _cached(model.name)


def _cached(name: str) -> Path:
    return home() / "models" / name


def _names() -> str:
    return ", ".join(_KNOWN)

"""Model names and where each model is found: built in, in the cache folder, a path, or the Hugging Face Hub."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from earthclip.errors import ConfigError, MissingExtraError, ModelError
from earthclip.files import home
from earthclip.models.config import IMAGE_ENCODER, SCOPE
from earthclip.models.defaults import find_defaults, read_defaults
from earthclip.models.folder import ModelFolder, open_folder
from earthclip.models.subnormals import mend


def snapshot(repository: str, patterns: Sequence[str], needed: Sequence[str], *, revision: str | None = None) -> Path:
    """The folder of ``repository`` with at least the files ``needed``; the cache is asked before the network.

    Raises MissingExtraError without the library huggingface_hub, ModelError when the Hub cannot be reached or the
    repository lacks a file.
    """
    library = _library()
    cached = _snapshot(library, repository, patterns, revision, local_files_only=True)
    if isinstance(cached, Path) and not _missing(cached, needed):
        return cached
    found = _snapshot(library, repository, patterns, revision, local_files_only=False)
    if not isinstance(found, Path):
        raise ModelError(f"cannot download {repository} from the Hugging Face Hub ({found})")
    if missing := _missing(found, needed):
        # Offline, the library hands out whatever part of a snapshot its cache holds.
        raise ModelError(f"cannot download {repository} from the Hugging Face Hub (got no {missing})")
    return found


def _snapshot(
    library: Any, repository: str, patterns: Sequence[str], revision: str | None, *, local_files_only: bool
) -> Path | str:
    """The folder, or in one line why there is none."""
    try:
        return Path(
            library.snapshot_download(
                repository, revision=revision, allow_patterns=list(patterns), local_files_only=local_files_only
            )
        )
    except Exception as error:  # requests', httpx's and the library's own errors share no class
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = re.sub(r"\[Errno -?\d+\] ", "", str(cause))
        return " ".join(reason.split())[:160] or type(cause).__name__


def _missing(folder: Path, needed: Sequence[str]) -> str | None:
    return next((name for name in needed if not (folder / name).is_file()), None)


def _library() -> Any:
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise MissingExtraError("downloading from the Hugging Face Hub", "hub", "huggingface_hub") from error
    return huggingface_hub


AUTO = "auto"
LOCAL_PREFIX = "local-dir:"
HUB_PREFIX = "hf-hub:"


@dataclass(frozen=True)
class KnownModel:
    """A named model; ``size_bytes`` and ``fault`` are about the copy on this machine."""

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
    a folder; ``auto`` is the one model that does what only one can do, such as to embed. Raises ModelError saying what
    to type when the source is unknown or not on this machine.
    """
    text = str(source).strip()
    if isinstance(source, Path):
        return open_folder(source.expanduser())
    if _is_auto(text):
        return resolve(choose_model(AUTO).source)
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


@dataclass(frozen=True)
class ChosenModel:
    """The source of a model and why it is used; ``reason`` is None where it was given.

    ``first`` is the source of a model that locates the pictures of its kind in its place.
    """

    source: str | Path
    reason: str | None = None
    first: str | None = None

    def folders(self) -> list[ModelFolder]:
        """Those of the models that are asked, in their order. Raises ModelError."""
        return [resolve(source) for source in (self.first, self.source) if source is not None]


def choose_model(
    source: str | Path | ChosenModel | None = None, *, for_places: bool = False, resolved: bool = True
) -> ChosenModel:
    """``source``; without one, ``model`` of earthclip.toml; without that, or for ``auto``, what is here.

    That is ``geoclip`` if it is pulled, with ``orbit`` first if that can tell which pictures are of its kind; else
    ``orbit``. A ``geoclip`` pulled with its location encoder alone counts only ``for_places``: coordinates to embed.
    Raises ConfigError for an earthclip.toml that cannot be used, also when there is no such model as it names, which
    is not looked up unless ``resolved``.
    """
    if isinstance(source, ChosenModel):
        return source
    if source is not None and not _is_auto(source):
        return ChosenModel(source)
    if source is None and (configured := read_defaults().model) is not None and not _is_auto(configured):
        if resolved:
            try:
                resolve(configured)
            except ModelError as error:
                raise ConfigError(f"{find_defaults()}: model: {error}") from error
        return ChosenModel(configured, f"set in {find_defaults()}")
    wanted = ("config.json",) if for_places else ("config.json", IMAGE_ENCODER)
    if all((_cached("geoclip") / name).is_file() for name in wanted):
        first = "orbit" if not for_places and (place_of("orbit") / SCOPE).is_file() else None
        return ChosenModel("geoclip", "the default once it is pulled", first)
    return ChosenModel("orbit", "the built-in default")


def label_of(names: Iterable[str]) -> str:
    """The name of the model that answers, or where each picture is answered by one of several, those of all."""
    several = list(names)
    return several[0] if len(several) == 1 else f"{AUTO} ({', '.join(several)})"


def _is_auto(source: str | Path) -> bool:
    return isinstance(source, str) and source.strip() == AUTO


def place_of(name: str) -> Path:
    """The folder of the model of that name, whether or not it exists."""
    return _path_of(_KNOWN[name])


def list_models() -> list[KnownModel]:
    """The named models, with the state of each on this machine."""
    return [_inspect(model) for model in _KNOWN.values()]


def _resolve_known(name: str) -> ModelFolder:
    path = _path_of(_KNOWN[name])
    if (path / "config.json").is_file():
        folder = open_folder(path)
        if _KNOWN[name].built_in:
            return folder
        return dataclasses.replace(folder, config=mend(path, folder.config))
    if _KNOWN[name].built_in:
        raise ModelError(f"the built-in model '{name}' is missing from this installation; install earthclip again")
    raise ModelError(
        f"model '{name}' is not on this machine yet; run earthclip model pull {name}, or use orbit for views from space"
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

"""``earthclip model info MODEL``: what a model is for, what it consists of, and how well it was measured."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from earthclip.cli import options
from earthclip.errors import one_line

if TYPE_CHECKING:
    from earthclip.models.config import ModelConfig
    from earthclip.models.folder import ModelFolder

_INDENT = 14


@options.command(
    examples="""
    earthclip model info orbit
    earthclip model info orbit --format json
    """
)
@click.argument("source", metavar="MODEL")
@options.output_format(type=click.Choice(["table", "json"]), default="table", show_default=True, help="Output format.")
def info(source: str, format_: str) -> None:
    """Describe MODEL: its purpose, files, calibration, int8 measurements and provenance.

    MODEL is a name from `earthclip model list` or the path of a model folder.
    """
    from earthclip.models.sources import list_models, resolve
    from earthclip.outputs.structured import dumps

    folder = resolve(source)
    purpose = next((model.purpose for model in list_models() if model.path == folder.path), None)
    if format_ == "json":
        click.echo(dumps(_as_object(folder, purpose)))
        return
    width = shutil.get_terminal_size().columns
    for name, text in _lines(folder, purpose, source):
        start = name.ljust(_INDENT)
        click.echo(
            textwrap.fill(
                one_line(text),
                width,
                initial_indent=start,
                subsequent_indent=" " * (_INDENT + 2),
                break_long_words=False,
                break_on_hyphens=False,
            )
        )


def _as_object(folder: ModelFolder, purpose: str | None) -> dict[str, Any]:
    from earthclip.configuration import to_mapping

    config = to_mapping(folder.config)
    size = folder.config.preprocessing.size if folder.config.preprocessing else None
    return config | {
        "purpose": purpose,
        "path": str(folder.path),
        "size_bytes": sum(folder.config.files.values()),
        "input_size": size,
        "gallery_size": _gallery_size(folder),
    }


def _lines(folder: ModelFolder, purpose: str | None, source: str) -> Iterator[tuple[str, str]]:
    """A name and its text for each line; lines of a list have no name after the first."""
    config = folder.config
    yield "name", config.name
    if purpose:
        yield "for", purpose
    if config.caution:
        yield "caution", config.caution
    yield "licence", config.licence
    yield "folder", str(folder.path)
    files = [f"{name}, {_size(size)}" for name, size in config.files.items()]
    yield from _listed("files", [*files, f"{_size(sum(config.files.values()))} in all"])
    yield "input", _input(config)
    places = _gallery_size(folder)
    yield "gallery", f"{places:,} candidate places" if places else "none"
    yield "embeddings", f"{config.embedding_size} numbers"
    yield "prior", config.prior
    yield from _listed("calibration", _calibration(config, source))
    yield from _listed("int8", _int8(config, source))
    yield from _listed("provenance", list(_flat(config.provenance)) or ["not recorded"])


def _listed(name: str, texts: list[str]) -> Iterator[tuple[str, str]]:
    yield from zip([name] + [""] * (len(texts) - 1), texts, strict=True)


def _input(config: ModelConfig) -> str:
    if config.preprocessing is None:
        return "coordinates only (no image encoder)"
    size, text = config.preprocessing.size, ", or text" if config.words else ""
    return f"pictures of {size} x {size} pixels{text}"


def _gallery_size(folder: ModelFolder) -> int | None:
    from earthclip.models.config import GALLERY

    return len(folder.gallery_coordinates()) if folder.has(GALLERY) else None


def _calibration(config: ModelConfig, source: str) -> list[str]:
    if config.calibration is None:
        return [f"none (earthclip model calibrate {source} MANIFEST)"]
    measured = config.calibration.measured
    lines = [f"temperature {config.temperature:g}"]
    if "pictures" in measured:
        lines[0] += f", fitted on {measured['pictures']}"
    for when in ("before", "after"):
        for promise, share in measured.get(when, {}).get("coverage", {}).items():
            lines.append(f"{when}: {100 * float(promise):.0f} % regions contain {100 * share:.1f} % of the true places")
    return lines


def _int8(config: ModelConfig, source: str) -> list[str]:
    from earthclip.cli.model_quantize import measured

    return [measured(config)] if config.int8 else [f"none (earthclip model quantize {source} --pictures DIR)"]


def _flat(value: Any, name: str = "") -> Iterator[str]:
    """``name: value`` for each value of nested mappings, whose names are joined by dots."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _flat(below, f"{name}.{key}" if name else str(key))
    else:
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield f"{name}: {text}"


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB" if n_bytes >= 1e5 else f"{n_bytes / 1e3:,.1f} kB"

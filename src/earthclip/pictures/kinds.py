"""The one list of kinds of pictures: which suffixes they have, which are read here, and what the others need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """A kind of file that a photo collection holds. ``advice`` says what to do about it where it is not read."""

    name: str
    suffixes: tuple[str, ...]  # lower case, with the dot
    advice: str = ""  # empty: always read
    package: str | None = None  # what reads it, where that is an optional dependency

    @property
    def read(self) -> bool:
        """Whether pictures of this kind are read on this machine."""
        return not self.advice or (self.package is not None and find_spec(self.package) is not None)


# A picture that a table names without its suffix is looked for in this order.
KINDS = (
    Kind("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif")),
    Kind("PNG", (".png",)),
    Kind("WebP", (".webp",)),
    Kind("TIFF", (".tif", ".tiff")),
    Kind("HEIC", (".heic", ".heif", ".hif"), "install HEIC support with pip install 'earthclip[heif]'", "pillow_heif"),
    Kind("AVIF", (".avif",)),
    Kind("GIF", (".gif",)),
    Kind("BMP", (".bmp",)),
    Kind("JPEG 2000", (".jp2",)),
    Kind("PPM", (".ppm", ".pgm")),
    Kind(
        "camera raw",
        (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".rw2", ".orf", ".pef", ".srw", ".x3f"),
        "export camera raw files as JPEG",
    ),
    Kind("JPEG XL", (".jxl",), "convert JPEG XL files to JPEG"),
    Kind("Photoshop", (".psd", ".psb"), "export Photoshop files as JPEG"),
    Kind("SVG", (".svg",), "drawings are not read"),
    Kind("video", (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".mts", ".webm", ".3gp"), "videos are not read"),
)
SUFFIXES_OF = {kind.name: kind.suffixes for kind in KINDS}
_KIND_OF = {suffix: kind for kind in KINDS for suffix in kind.suffixes}
PICTURE_SUFFIXES = tuple(suffix for kind in KINDS if not kind.advice or kind.package for suffix in kind.suffixes)


def kind_of(path: str | Path) -> Kind | None:
    """The kind that a file's suffix names; None for anything that is neither a picture nor a video."""
    return _KIND_OF.get(Path(path).suffix.lower())


def read_suffixes() -> frozenset[str]:
    """The suffixes of the pictures that are read on this machine."""
    return frozenset(suffix for kind in KINDS if kind.read for suffix in kind.suffixes)


def listed(suffixes: Iterable[str]) -> str:
    """Suffixes as people read them in messages: "jpg, jpeg, png"."""
    return ", ".join(suffix.removeprefix(".") for suffix in suffixes)


@dataclass
class PassedOver:
    """The files of folders that were not read, counted by suffix; truthy when there is any."""

    pictures: Counter[str] = field(default_factory=Counter)
    others: int = 0

    def add(self, name: str) -> None:
        """Count one file."""
        if kind_of(name) is None:
            self.others += 1
        else:
            self.pictures[Path(name).suffix.lower()] += 1

    def since(self, before: PassedOver) -> PassedOver:
        """What was counted after ``before``, an earlier state of this."""
        return PassedOver(self.pictures - before.pictures, self.others - before.others)

    def __bool__(self) -> bool:
        return bool(self.pictures or self.others)

    def __str__(self) -> str:
        parts = []
        for suffix, count in sorted(self.pictures.items(), key=lambda item: (-item[1], item[0])):
            files = "file" if count == 1 else "files"
            parts.append(f"{count:,} {suffix} {files}: {_KIND_OF[suffix].advice}")
        if self.others:
            parts.append(
                f"{self.others:,} {'file that is not a picture' if self.others == 1 else 'files that are not pictures'}"
            )
        return f"skipped {'; '.join(parts)}" if parts else "skipped nothing"

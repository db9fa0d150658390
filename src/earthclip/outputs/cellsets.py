"""Sets of HEALPix cells as short text: ``6/100-120,130``, level first, then nested numbers as ranges, both ends in.

Source: the ASCII form of a multi-order coverage map of one order, IVOA Recommendation "MOC" 2.0, section 4.3.2.
"""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Int64

from earthclip.errors import InputError
from earthclip.geo.cells import MAX_LEVEL

_FORM = re.compile(r"(\d{1,2})/((?:\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)?)", re.ASCII)


def cells_text(cells: Int64[np.ndarray, " r"], level: int) -> str:
    """The cells of a level, in any order, as text."""
    ordered = np.unique(cells)
    breaks = np.flatnonzero(np.diff(ordered) > 1) + 1
    first = ordered[np.concatenate([[0], breaks])] if ordered.size else ordered
    last = ordered[np.concatenate([breaks - 1, [-1]])] if ordered.size else ordered
    ranges = [f"{a}-{b}" if a != b else f"{a}" for a, b in zip(first.tolist(), last.tolist(), strict=True)]
    return f"{level}/{','.join(ranges)}"


def parse_cells(text: str) -> tuple[Int64[np.ndarray, " r"], int]:
    """The cells that ``cells_text`` wrote, ascending, and their level. Raises InputError for other text."""
    found = _FORM.fullmatch(text)
    level = int(found[1]) if found else -1
    if found is None or level > MAX_LEVEL:
        raise InputError(f"expected cells as in 6/100-120,130, found {text[:40]!r}")
    beyond = 12 * 4**level
    ranges = []
    for part in filter(None, found[2].split(",")):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if not low <= high < beyond:
            raise InputError(f"expected cells of level {level} below {beyond}, found {part}")
        ranges.append(np.arange(low, high + 1, dtype=np.int64))
    return np.concatenate(ranges) if ranges else np.empty(0, np.int64), level

"""HEIC and AVIF: their boxes and items, and what in them a copy of the pixels alone would not keep.

Sources: ISO/IEC 14496-12, 23008-12 (HEIF), 14496-15 (hvcC) and AV1-ISOBMFF (av1C).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from earthclip.pictures.metadata.containers import Part, gaps
from earthclip.pictures.metadata.findings import DamagedError

_MOST_ITEMS = 65_536
PIXELS = frozenset(("hvc1", "av01", "grid", "iden", "iovl", "jpeg", "avc1", "j2k1", "unci", "mski"))
# Boxes without which no picture is shown; all others are reported. ``free`` and ``skip`` may hold zeros alone.
_STRUCTURE = frozenset(("ftyp", "meta", "mdat"))
_VIDEO = frozenset(("moov", "moof", "mpvd", "mvhd", "trak"))
_HDR_TRANSFERS = (16, 18)  # PQ and HLG
_FILM, _GAIN_MAP, _SECOND, _MORE = "a video", "a gain map", "a depth map or another second picture", "more pictures"
PICTURES = (_FILM, _GAIN_MAP, _SECOND, _MORE)  # among what is lost
DISPLAY_P3 = 12  # among the primaries


@dataclass(frozen=True)
class Item:
    """An item: four letters, the media type of a ``mime`` item, and where its pieces lie."""

    kind: str
    media_type: str
    pieces: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Contents:
    """What a file holds: its items, boxes that no picture needs, bytes that nothing points to, and what is special.

    ``lost`` names, for people, what a copy of the pixels in 8 bits would lose. ``primaries`` are those of ``nclx``.
    """

    items: list[Item]
    others: list[tuple[str, bytes]]
    thumbnails: int
    lost: list[str]
    primaries: int = 1
    profiles: tuple[bytes, ...] = ()


def contents(data: bytes) -> Contents:
    """Everything in a file. Raises DamagedError."""
    others, end, top = [], 0, list(boxes(data))
    for box in top:
        content, end = data[box.content : box.end], box.end
        if box.name not in _STRUCTURE and (box.name not in ("free", "skip") or content.strip(b"\0")):
            others.append((box.name, content))
    if data[end:].strip(b"\0"):
        others.append(("after the last box", data[end:]))
    items = heif_items(data)
    pieces = [piece for item in items for piece in item.pieces]
    covered = pieces + [(box.start, box.end if box.name != "mdat" else box.content) for box in top]
    for start, stop in gaps(covered, end):
        if data[start:stop].strip(b"\0"):
            others.append(("that no item points to", data[start:stop]))
    lost = [_FILM] if any(name in _VIDEO for name, _ in others) else []
    meta = next((box for box in top if box.name == "meta"), None)
    if meta is None:
        return Contents(items, others, 0, ["a sequence"])
    properties, references, primaries = _properties(data, meta), _references(data, meta), 1
    for name, body in properties:
        if (name == "hvcC" and len(body) > 17 and body[17] & 7) or (
            name == "av1C" and len(body) > 2 and body[2] & 0x40
        ):
            lost.append("more than 8 bits a colour")
        elif name == "auxC" and b"alpha" not in body and b"auxid:1" not in body:
            kind = _GAIN_MAP if b"gainmap" in body.lower() else _SECOND
            lost.append(kind)
        elif name == "colr" and body[:4] == b"nclx" and len(body) >= 8:
            primaries = int.from_bytes(body[4:6], "big")
            transfer = int.from_bytes(body[6:8], "big")
            if transfer in _HDR_TRANSFERS:
                lost.append("its range of brightness (HDR)")
    if any(item.kind == "tmap" for item in items):
        lost.append(_GAIN_MAP)
    pictures = sum(item.kind in PIXELS for item in items)
    beside = {source for name, source, _ in references if name in ("thmb", "auxl")}
    tiles = {target for name, _, targets in references if name == "dimg" for target in targets}
    if pictures - len(beside | tiles) > 1:
        lost.append(_MORE)
    thumbnails = sum(name == "thmb" for name, _, _ in references)
    profiles = [body[4:] for name, body in properties if name == "colr" and body[:4] in (b"prof", b"rICC")]
    return Contents(items, others, thumbnails, list(dict.fromkeys(lost)), primaries, tuple(dict.fromkeys(profiles)))


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Part]:
    """Boxes by their four letters, one after another. Raises DamagedError."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, name, head = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        elif size == 0:
            size = end - start
        if size < head or start + size > end:
            raise DamagedError("a box ends beyond what holds it")
        yield Part(name.decode("latin-1"), start, start + size, start + head, start + size)
        start += size


def _inside(data: bytes, box: Part, *names: str) -> Part | None:
    """The box at a path of names in a box without fields of its own, or in ``meta``."""
    for name in names:
        start = box.content + (4 if box.name == "meta" else 0)
        found = next((part for part in boxes(data, start, box.end) if part.name == name), None)
        if found is None:
            return None
        box = found
    return box


def _properties(data: bytes, meta: Part) -> list[tuple[str, bytes]]:
    box = _inside(data, meta, "iprp", "ipco")
    return [(part.name, data[part.content : part.end]) for part in boxes(data, box.content, box.end)] if box else []


def _references(data: bytes, meta: Part) -> list[tuple[str, int, set[int]]]:
    """References between items: their kind, the number of the item that refers, and those that are referred to."""
    box = _inside(data, meta, "iref")
    if box is None:
        return []
    wide = 4 if data[box.content : box.content + 1] == b"\1" else 2
    found = []
    for part in boxes(data, box.content + 4, box.end):
        reader = _Reader(data, part.content, part.end)
        source = reader.take(wide)
        found.append((part.name, source, {reader.take(wide) for _ in range(reader.take(2))}))
    return found


def heif_items(data: bytes) -> list[Item]:
    """The items of a HEIC or AVIF file. Raises DamagedError."""
    meta = next((box for box in boxes(data) if box.name == "meta"), None)
    if meta is None:
        return []
    inner = {box.name: box for box in boxes(data, meta.content + 4, meta.end)}
    kinds = _item_kinds(data, inner["iinf"]) if "iinf" in inner else {}
    places = _item_places(data, inner["iloc"], inner.get("idat")) if "iloc" in inner else {}
    return [Item(*kinds[number], tuple(places.get(number, ()))) for number in kinds]


def _item_kinds(data: bytes, box: Part) -> dict[int, tuple[str, str]]:
    kinds: dict[int, tuple[str, str]] = {}
    start = box.content + (6 if data[box.content] == 0 else 8) if box.content < box.end else box.end
    for entry in boxes(data, start, box.end):
        body = data[entry.content : entry.end]
        if entry.name != "infe" or not body or body[0] not in (2, 3):
            continue
        wide = 4 if body[0] == 3 else 2
        kind = body[6 + wide : 10 + wide].decode("latin-1")
        _, _, rest = body[10 + wide :].partition(b"\0")
        media_type = rest.partition(b"\0")[0].decode("latin-1") if kind == "mime" else ""
        kinds[int.from_bytes(body[4 : 4 + wide], "big")] = kind, media_type
    return kinds


def _item_places(data: bytes, box: Part, idat: Part | None) -> dict[int, list[tuple[int, int]]]:
    reader = _Reader(data, box.content, box.end)
    version = reader.take(1)
    reader.take(3)
    sizes = reader.take(2)
    offset_size, length_size, base_size, index_size = (
        (sizes >> 12) & 15,
        (sizes >> 8) & 15,
        (sizes >> 4) & 15,
        sizes & 15,
    )
    places: dict[int, list[tuple[int, int]]] = {}
    pieces = 0
    for _ in range(reader.take(2 if version < 2 else 4)):
        number = reader.take(2 if version < 2 else 4)
        method = reader.take(2) & 15 if version in (1, 2) else 0
        reader.take(2)  # which file: this one
        base = reader.take(base_size)
        found = []
        for _ in range(reader.take(2)):
            if index_size and version in (1, 2):
                reader.take(index_size)
            start, length = base + reader.take(offset_size), reader.take(length_size)
            if method == 1 and idat is not None:
                start += idat.content
            pieces += 1
            if method > 1 or start + length > len(data) or pieces > _MOST_ITEMS:
                raise DamagedError("an item lies beyond the file")
            found.append((start, start + length if length else len(data)))
        places[number] = found
    return places


class _Reader:
    """Big-endian integers one after another, up to an end. Raises DamagedError there."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data, self._at, self._end = data, at, end

    def take(self, size: int) -> int:
        """The next integer of ``size`` bytes; 0 for none."""
        if self._at + size > self._end:
            raise DamagedError("a table ends early")
        self._at += size
        return int.from_bytes(self._data[self._at - size : self._at], "big")

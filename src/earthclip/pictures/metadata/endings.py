"""Makes sure that nothing follows the last pixel within a block of pixels, where every decoder would pass it over.

PNG and GIF say how many pixels there are, and their codes are walked. JPEG and WebP are decoded once more with other
bytes in place of the last ones: if the picture is still the same, these bytes were no pixels.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from earthclip.pictures.decode import FAULTS
from earthclip.pictures.metadata import containers
from earthclip.pictures.metadata.containers import Part
from earthclip.pictures.metadata.findings import DamagedError

_CHUNK = 1 << 20
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of PNG's colour types
# What takes the place of the last bytes: more than JPEG needs for a block of a flat area with its padding
_OTHERS = (bytes.fromhex("5ac36b9d17e24ab8"), bytes.fromhex("a53d94620ed175c9"), bytes.fromhex("0123456789abcdef"))
_EMPTY_BLOCKS, _EMPTY_BYTES = 0x7FFF, 4  # this many blocks without any detail take this many bytes at most
_ALPHA = 0x10  # among the flags of WebP
_MORE = "bytes that are no pixels follow its pixels"


def check_jpeg(data: bytes) -> None:
    """Raise DamagedError where a scan of a JPEG goes on behind its last block, and what Pillow raises."""
    whole = _pixels(data)
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        blocks = math.ceil(image.width / 8) * math.ceil(image.height / 8)
    # A scan may be without any detail, as a grey picture's colours are: no byte of it makes a difference.
    empty = _EMPTY_BYTES * (blocks // _EMPTY_BLOCKS + 1) + 1
    for part in containers.jpeg_parts(data):
        scan = data[part.content_end : part.end]
        if (
            part.name == "DA"
            and len(scan) > empty
            and all(
                _pixels_or_none(data[: part.content_end] + changed + data[part.end :]) == whole
                for changed in _changed(scan)
            )
        ):
            raise DamagedError(_MORE)


def check_webp(chunks: list[tuple[str, bytes]]) -> None:
    """Raise DamagedError where a chunk of a frame's pixels goes on behind them, and what Pillow raises."""
    for index, (name, content) in enumerate(chunks):
        pixels = dict(chunks[index + 1 :]).get("VP8 ", b"")
        if name == "ALPH":  # is read with the size of the colours that follow
            sizes = struct.unpack_from("<HH", pixels.ljust(10, b"\0"), 6)
            width, height = (max(0, (size & 0x3FFF) - 1).to_bytes(3, "little") for size in sizes)
            around = [("VP8X", bytes([_ALPHA, 0, 0, 0]) + width + height), ("ALPH", content), ("VP8 ", pixels)]
        elif name in ("VP8 ", "VP8L"):
            around = [(name, content)]
        else:
            continue
        whole = _webp_pixels(around)
        at = len(around) // 2
        if all(_webp_pixels([*around[:at], (name, other), *around[at + 1 :]]) == whole for other in _changed(content)):
            raise DamagedError(_MORE)


def _webp_pixels(chunks: list[tuple[str, bytes]]) -> bytes | None:
    """The pixels of a WebP of some chunks; None where it cannot be read."""
    body = b"WEBP" + b"".join(containers.webp_chunk(*chunk) for chunk in chunks)
    return _pixels_or_none(b"RIFF" + struct.pack("<I", len(body)) + body)


def _changed(block: bytes) -> Iterator[bytes]:
    """The block with other bytes at its end."""
    for other in _OTHERS:
        kept = block[: -len(other)]
        yield kept.rstrip(b"\xff") + other[-max(1, len(block) - len(kept)) :]


def _pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data), formats=["JPEG", "WEBP"]) as image:
        return image.tobytes()


def _pixels_or_none(data: bytes) -> bytes | None:
    try:
        return _pixels(data)
    except FAULTS:
        return None


class PNGPixels:
    """Makes sure that compressed pixels are followed by nothing else. Raises DamagedError."""

    def __init__(self) -> None:
        self._row_bits, self._expected, self._unpacked = 0, 0, 0
        self._interlaced, self._stream = False, zlib.decompressobj()

    def take(self, name: str, content: bytes) -> None:
        """The next chunk."""
        if name == "IHDR" and len(content) == 13:
            self._row_bits = content[8] * _CHANNELS.get(content[9], 0)
            self._interlaced = content[12] == 1
            self._begin(*struct.unpack(">II", content[:8]))
        elif name == "fcTL" and len(content) == 26:
            if self._unpacked:  # else it is of the picture that IHDR began
                self._end()
                self._begin(*struct.unpack(">II", content[4:12]))
        elif name == "IDAT":
            self._read(content)
        elif name == "fdAT":
            self._read(content[4:])
        elif name == "IEND":
            self._end()

    def _begin(self, width: int, height: int) -> None:
        steps = [(0, 0, 1, 1)]
        if self._interlaced:
            steps = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        self._expected, self._unpacked, self._stream = 0, 0, zlib.decompressobj()
        for left, top, across, down in steps:
            columns, rows = max(0, -(-(width - left) // across)), max(0, -(-(height - top) // down))
            self._expected += rows * (1 + -(-columns * self._row_bits // 8)) if columns else 0

    def _read(self, content: bytes) -> None:
        if content and self._stream.eof:
            raise DamagedError(_MORE)
        try:
            while content:
                self._unpacked += len(self._stream.decompress(content, _CHUNK))
                content = self._stream.unconsumed_tail
                if self._unpacked > self._expected:
                    break
        except zlib.error as error:
            raise DamagedError("its pixels are damaged") from error
        if self._stream.unused_data or self._unpacked > self._expected:
            raise DamagedError(_MORE)

    def _end(self) -> None:
        if not self._stream.eof or self._unpacked != self._expected:
            raise DamagedError("its pixels are cut short")


def check_gif(data: bytes, part: Part) -> None:
    """Walk the LZW codes, whose widths follow from their number alone, up to the end code: nothing may follow it."""
    smallest, at, packed = data[part.content - 1], part.content, bytearray()
    while data[at]:
        packed += data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
    if not 1 <= smallest <= 8:
        raise DamagedError("its pixels are damaged")
    clear, end = 1 << smallest, (1 << smallest) + 1
    width, following, held, bits, first = smallest + 1, end + 1, 0, 0, True
    for index, byte in enumerate(packed):
        held |= byte << bits
        bits += 8
        while bits >= width:
            code, held, bits = held & ((1 << width) - 1), held >> width, bits - width
            if code == end:
                if held or packed[index + 1 :].strip(b"\0"):
                    raise DamagedError(_MORE)
                return
            if code == clear:
                width, following, first = smallest + 1, end + 1, True
                continue
            following += not first
            first = False
            if following == 1 << width and width < 12:
                width += 1
    raise DamagedError("its pixels are cut short")

"""What strangers may send: pictures changed at random, posted to a real server, which must refuse or answer each.

    python benchmarks/hostile_uploads.py --uploads 10000
    python benchmarks/hostile_uploads.py --kill-decoder

Prints statuses and the memory of the server and its decoders over time. Exits 1 when an answer is 5xx or missing, when
the server has died, or when its memory grew by more than a tenth after the first quarter. Such an upload is written to
build/hostile/. With ``--kill-decoder``, a decoder is killed while it reads: that photo is refused, the next answered.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import signal
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.pictures import photos  # noqa: E402
from tests.server.running import Running, running  # noqa: E402

CLIENTS = 8
MOST_GROWTH = 0.10
MISSING = 0  # the status of an upload that nobody answered


def pictures() -> list[bytes]:
    """One file and more of every format and mode that the project reads, none above 200 KB."""
    image = photos.picture()
    files = [path.read_bytes() for path in sorted((ROOT / "examples").glob("*.jpg"))]
    files += [photos.jpeg(), photos.png(), *(photos.saved(name) for name in ("WEBP", "TIFF", "AVIF"))]
    files += [saved(image, name) for name in ("GIF", "BMP", "PPM", "JPEG2000", "ICO", "TGA")]
    files += [saved(image, "JPEG", progressive=True), saved(image.convert("CMYK"), "JPEG")]
    files += [saved(image.convert(mode), "PNG") for mode in ("L", "RGBA", "P", "1", "I;16")]
    files += [saved(image, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")]
    files += [saved(image.convert(mode), "TIFF") for mode in ("F", "I;16", "CMYK")]
    files += [saved(image, "WEBP", lossless=True), saved(image, "GIF", save_all=True, append_images=[image.rotate(9)])]
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        print("without HEIC: pip install 'earthclip[heif]'")
        return files
    register_heif_opener()
    return [*files, saved(image, "HEIF")]


def saved(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def flip_bits(picture: bytearray, _: bytes, rng: random.Random) -> bytearray:
    reach = rng.choice((64, 512, len(picture)))  # headers are small, and the most is decided there
    for _bit in range(rng.choice((1, 4, 16, 64))):
        picture[rng.randrange(min(reach, len(picture)))] ^= 1 << rng.randrange(8)
    return picture


def truncate(picture: bytearray, _: bytes, rng: random.Random) -> bytearray:
    return picture[: rng.randrange(len(picture))]


def splice(picture: bytearray, other: bytes, rng: random.Random) -> bytearray:
    start, end = sorted(rng.randrange(len(other) + 1) for _ in range(2))
    at, until = sorted(rng.randrange(len(picture) + 1) for _ in range(2))
    return picture[:at] + other[start:end] + picture[rng.choice((at, until)) :]


def enlarge(picture: bytearray, _: bytes, rng: random.Random) -> bytearray:
    """Every number near the beginning that is a side of the picture becomes a huge one, with PNG's sums put right."""
    sides = Image.open(io.BytesIO(bytes(picture))).size
    huge = rng.choice((7_000, 20_000, 65_535, 1 << 24, (1 << 31) - 1, (1 << 32) - 1))
    for form, most in ((">I", (1 << 32) - 1), ("<I", (1 << 32) - 1), (">H", 65_535), ("<H", 65_535)):
        for side in sides:
            at = picture.find(struct.pack(form, side), 0, 4_000)
            while at >= 0:
                struct.pack_into(form, picture, at, min(huge, most))
                at = picture.find(struct.pack(form, side), at + 1, 4_000)
    if picture[:4] == b"\x89PNG":
        struct.pack_into(">I", picture, 29, zlib.crc32(picture[12:29]))
    return picture


def overwrite(picture: bytearray, _: bytes, rng: random.Random) -> bytearray:
    at, size = rng.randrange(len(picture)), rng.choice((2, 4, 40, 400))
    picture[at : at + size] = rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size)))
    return picture


CHANGES: tuple[Callable[[bytearray, bytes, random.Random], bytearray], ...] = (
    *(flip_bits, truncate, splice, enlarge, overwrite),
)


def upload(number: int, seed: int, files: list[bytes]) -> bytes:
    """The picture posted as number ``number``, changed once or twice."""
    rng = random.Random(f"{seed}, {number}")
    picture = bytearray(rng.choice(files))
    change = rng.choice(CHANGES)
    picture = change(picture, rng.choice(files), rng)
    if picture and rng.random() < 0.3:
        picture = rng.choice((flip_bits, truncate, splice, overwrite))(picture, rng.choice(files), rng)
    return bytes(picture)


def memory_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:  # a decoder that has ended
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def post_all(server: Running, uploads: int, seed: int) -> bool:
    """Post them and print what came of it; whether the server did as it should."""
    files = pictures()
    failed = ROOT / "build" / "hostile"
    failed.mkdir(parents=True, exist_ok=True)

    def post(number: int) -> int:
        picture = upload(number, seed, files)
        try:
            status = server.locate(picture).status
        except (OSError, HTTPException):
            status = MISSING
        if not 200 <= status < 500:
            (failed / f"{seed}-{number}").write_bytes(picture)
            print(f"upload {number}: {status or 'no answer'}, see {failed / f'{seed}-{number}'}")
        return status

    statuses: Counter[int] = Counter()
    memory = []
    print(f"{len(files)} pictures, {uploads} uploads, {CLIENTS} clients\n")
    print("uploads   server MB   decoders MB (each)")
    with ThreadPoolExecutor(CLIENTS) as clients:
        for done, status in enumerate(clients.map(post, range(uploads)), 1):
            statuses[status] += 1
            if done % max(uploads // 20, 1) == 0:
                memory.append(memory_mb(server.process.pid))
                each = " ".join(f"{memory_mb(pid):.0f}" for pid in sorted(server.decoders()))
                print(f"{done:7}   {memory[-1]:9.0f}   {each}", flush=True)
    settled = memory[len(memory) // 4 :]
    growth = settled[-1] / settled[0] - 1
    alive = server.process.poll() is None and server.locate(files[0]).status == 200
    print(f"\nstatuses: {dict(sorted(statuses.items()))}")
    print(f"the server {'answers' if alive else 'has died'}; its memory grew by {growth:.1%} after the first quarter")
    return alive and all(200 <= status < 500 for status in statuses) and growth <= MOST_GROWTH


def kill_decoder(server: Running) -> bool:
    """Kill a decoder while it reads a photo; whether that photo alone was refused."""
    photo = pictures()[0]
    for decoder in server.decoders():
        os.kill(decoder, signal.SIGSTOP)  # or the photo would be read before it can be killed
    with ThreadPoolExecutor(1) as client:
        reply = client.submit(server.locate, photo)
        while not server.waiting():
            time.sleep(0.01)
        time.sleep(0.5)
        killed = server.decoders()
        for decoder in killed:
            os.kill(decoder, signal.SIGKILL)
    statuses = [server.locate(photo).status for _ in range(4)]
    print(f"decoders {killed} killed while one read: {reply.result().status} {reply.result().json}")
    print(f"the next four photos: {statuses}; decoders now: {server.decoders()}")
    return reply.result().status == 422 and statuses == [200] * 4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uploads", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="orbit")
    parser.add_argument("--kill-decoder", action="store_true")
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, running(arguments.model, Path(folder)) as server:
        server.locate(pictures()[0])
        good = kill_decoder(server) if arguments.kill_decoder else post_all(server, arguments.uploads, arguments.seed)
    print(f"{'as it should be' if good else 'NOT as it should be'}, {time.monotonic() - began:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

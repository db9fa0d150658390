"""What strangers send: each is refused with a reason, and the server lives on."""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.server.running import BOUNDARY, FORM, Running, form


@pytest.fixture(autouse=True)
def lives_on(server: Running, photo: bytes) -> Iterator[None]:
    yield
    assert server.locate(photo).status == 200
    temporary = server.log.parent / "temporary"
    assert list(temporary.iterdir()) == []


def bomb(side: int = 50_000) -> bytes:
    """A PNG of side x side black pixels: 300 KB that would decode to 7.5 GB as RGB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows, size = side // 1000, side * (1 + (side + 7) // 8)
    packer = zlib.compressobj(9, wbits=-15)
    # Flushed fully, a block can be repeated; what zeros add up to by Adler's sum is known without adding them.
    block = packer.compress(bytes(size // rows)) + packer.flush(zlib.Z_FULL_FLUSH)
    data = b"\x78\xda" + block * rows + b"\x03\x00" + struct.pack(">HH", size % 65521, 1)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("photo.txt", "x" * 1000)
    return file.getvalue()


def test_empty_file(server: Running) -> None:
    reply = server.locate(b"")
    assert reply.status == 422 and "photo 1: the file is empty (0 bytes)" in reply.error


def test_truncated_file(server: Running, photo: bytes) -> None:
    reply = server.locate(photo[: len(photo) // 2])
    assert reply.status == 422 and reply.error.startswith("photo 1: the picture is damaged or cut short")


def test_png_bomb(server: Running) -> None:
    reply = server.locate(bomb())
    assert reply.status == 413 and "pixels, the limit is" in reply.error


@pytest.mark.parametrize(
    "content",
    [
        zipped(),
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"<html>",
        b"\x00" * 64,
    ],
    ids=["zip", "svg", "postscript", "html", "zeros"],
)
def test_what_is_no_picture(server: Running, content: bytes) -> None:
    reply = server.locate(content)
    assert reply.status == 422 and "photo 1: not a picture" in reply.error


@pytest.mark.parametrize("declared", [True, False])
def test_200_megabytes(server: Running, declared: bool) -> None:
    size = 200_000_000

    def body() -> Iterator[bytes]:
        start = form(b"")[: -len(BOUNDARY) - 8].ljust(1_000_000, b"\0")
        yield start
        yield from (bytes(1_000_000) for _ in range(size // 1_000_000 - 1))

    headers = FORM | ({"Content-Length": str(size)} if declared else {})
    reply = server.ask("POST", "/v1/locate", body(), headers)
    assert reply.status == 413 and "the limit is 20 MB" in reply.error


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("multipart/form-data", b"--x\r\n", 400),
        ("multipart/form-data; boundary=", b"", 422),
        ("multipart/form-data; boundary=a", b"garbage", 400),
        ("multipart/form-data; boundary=a", b"--a\r\nContent-Disposition: form-data\r\n\r\n1\r\n--a--\r\n", 400),
        ("multipart/form-data; boundary=a-boundary", form(b"x")[:-30], 422),
        ("application/x-www-form-urlencoded", b"text=snow", 415),
        ("application/json", b"{}", 415),
        ("", b"", 415),
    ],
)
def test_wrong_multipart(server: Running, content_type: str, body: bytes, status: int) -> None:
    reply = server.ask("POST", "/v1/locate", body, {"Content-Type": content_type})
    assert (reply.status, bool(reply.error)) == (status, True)


def test_too_many_parts(server: Running, photo: bytes) -> None:
    assert "Too many files" in server.locate(*[photo] * 17).error
    assert "Too many fields" in server.locate(photo, region=["Norway"] * 40).error


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "..\\..\\x", "a\x00b.jpg", "%2e%2e%2f", ""])
def test_names_of_files_mean_nothing(server: Running, photo: bytes, name: str) -> None:
    reply = server.ask("POST", "/v1/locate", form(photo, name=name), FORM)
    assert reply.status == 200 and reply.json["answers"][0]["path"] is None
    bad = server.ask("POST", "/v1/locate", form(b"x", name=name), FORM)
    assert bad.error.startswith("photo 1: not a picture")


@pytest.mark.parametrize(
    "body",
    [
        b'{"coordinates": [[NaN, 0]]}',
        b'{"coordinates": [[Infinity, 0]]}',
        b'{"coordinates": [[1e999, 0]]}',
        b'{"coordinates": [[91, 0]]}',
        b'{"coordinates": [[10, 190]]}',
        b'{"coordinates": [[1' + b"0" * 5000 + b", 0]]}",
        b'{"coordinates": [["1", 0]]}',
        b'{"coordinates": [[true, 0]]}',
        b'{"coordinates": [[1, 2, 3]]}',
        b'{"coordinates": [["\\ud800", 1]]}',
        b'{"coordinates": 5}',
        b'{"coordinates": [], "more": 1}',
        b"[" * 100_000,
        b"\xff\xfe",
        b"",
        b"null",
    ],
)
def test_json_that_is_none(server: Running, body: bytes) -> None:
    reply = server.ask("POST", "/v1/embed", body, {"Content-Type": "application/json"})
    assert reply.status == 422 and reply.error


def test_too_many_coordinates(server: Running) -> None:
    body = json.dumps({"coordinates": [[0, 0]] * 10_001}).encode()
    reply = server.ask("POST", "/v1/embed", body, {"Content-Type": "application/json"})
    assert reply.status == 413 and "the limit is 10,000" in reply.error


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/static/../app.py", "/%2e%2e/%2e%2e/etc/passwd", "/v1/nothing"])
def test_paths_beyond_the_pages(server: Running, path: str) -> None:
    reply = server.ask("GET", path)
    assert reply.status == 404 and b"root:" not in reply.body


def test_another_method_and_another_name(server: Running) -> None:
    reply = server.ask("GET", "/v1/locate")
    assert reply.status == 405 and reply.error == "Method Not Allowed" and reply.headers["allow"] == "POST"
    reply = server.ask("GET", "/v1/models", headers={"Host": "attacker.example"})
    assert reply.status == 421 and "by no other name" in reply.error


def test_a_client_that_goes_away(server: Running, photo: bytes) -> None:
    import socket

    body = form(photo)
    head = f"POST /v1/locate HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM['Content-Type']}\r\n"
    for sent in (b"", body[:100], body):
        with socket.create_connection((server.host, server.port)) as connection:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + sent)
    assert Path(server.log).is_file()


def test_a_file_in_another_field(server: Running, photo: bytes) -> None:
    reply = server.ask("POST", "/v1/locate", form(photo).replace(b'name="photos"', b'name="text"'), FORM)
    assert reply.status == 422 and "send photos there" in reply.error


def lives(process: int) -> bool:
    """Whether a process has neither ended nor been ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_photo_whose_decoder_is_killed_is_refused_and_no_other(server: Running, photo: bytes) -> None:
    for decoder in server.decoders():
        os.kill(decoder, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as client:
        reply = client.submit(server.locate, photo)
        while not server.waiting():
            time.sleep(0.01)
        time.sleep(0.3)  # until one of those that are stopped has it
        killed = server.decoders()
        for decoder in killed:
            os.kill(decoder, signal.SIGKILL)
        assert reply.result().status == 422
    while any(lives(decoder) for decoder in killed):  # or the next photo might be given to one that is about to end
        time.sleep(0.01)
    assert reply.result().error.startswith("photo 1: reading it ended the reading process (SIGKILL)")
    assert [server.locate(photo).status for _ in range(4)] == [200] * 4

"""Addresses taken apart, listed, read and written."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from earthclip.cluster.storage import below, find, folder_of, is_address, open_storage, read_bytes, write_bytes
from earthclip.errors import InputError
from earthclip.pictures.kinds import PassedOver
from earthclip.pictures.prepare import Failure


def test_storage_at_an_address() -> None:
    for name in ("b/2.jpg", "b/1.JPG", "b/deep/3.jpg", "b/notes.txt", "b/x y.png"):
        write_bytes(f"memory://bucket/{name}", name.encode())
    root = "memory://bucket/b"

    def names(address: str) -> list[str]:
        return [
            item.path or "" if isinstance(item, Failure) else item
            for item in find(address, (".jpg", ".png"), PassedOver())
        ]

    assert names(root) == [f"{root}/{name}" for name in ("1.JPG", "2.jpg", "deep/3.jpg", "x y.png")]
    assert names(f"{root}/*.jpg") == [f"{root}/2.jpg"]
    assert names(f"{root}/**/*.jpg") == [f"{root}/2.jpg", f"{root}/deep/3.jpg"]
    assert names(f"{root}/[0-1].???") == [f"{root}/1.JPG"]
    assert names(f"{root}/x y.png") == [f"{root}/x y.png"]
    (missing,) = find(f"{root}/*.gif", (), PassedOver())
    assert isinstance(missing, Failure) and "nothing found;" in missing.error
    assert [read_bytes(name) for name in names(root)][3] == b"b/x y.png"
    with pytest.raises(InputError, match="no such file"):
        read_bytes(f"{root}/none.jpg")
    with pytest.raises(InputError, match="larger than 3 bytes"):
        read_bytes(f"{root}/2.jpg", most=3)
    with pytest.raises(InputError, match="incomplete address"):
        read_bytes("s3://bucket/a.jpg?speed=9")
    with pytest.raises(InputError, match="Protocol not known: nosuch"):
        open_storage("nosuch://bucket/x")
    assert not is_address("file:///tmp/x") and not is_address("C:\\photos") and is_address("s3://b/k")


def test_a_read_that_fails_once_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Flaky:
        left = 2

        def open_input_stream(self, path: str) -> object:
            self.left -= 1
            if self.left >= 0:
                raise OSError("connection reset")
            return Path(path).open("rb")

    flaky = Flaky()
    monkeypatch.setattr("earthclip.cluster.storage.open_storage", lambda where: (flaky, where))
    monkeypatch.setattr("earthclip.cluster.storage._FIRST_PAUSE_S", 0.0)
    (tmp_path / "x").write_bytes(b"data")
    assert read_bytes(str(tmp_path / "x")) == b"data"
    flaky.left = 100
    with pytest.raises(InputError, match=r"connection reset\); tried 4 times"):
        read_bytes(str(tmp_path / "x"))


@pytest.mark.parametrize(
    ("base", "path", "joined"),
    [
        ("s3://b/answers/", "part-000000.parquet", "s3://b/answers/part-000000.parquet"),
        (
            "s3://b?scheme=http&endpoint_override=h:9000",
            "a/b.jpg",
            "s3://b/a/b.jpg?scheme=http&endpoint_override=h:9000",
        ),
        ("s3://b/x", "gs://c/y.jpg", "gs://c/y.jpg"),
        ("s3://b", "y.jpg", "s3://b/y.jpg"),
        ("abfs://box@me.dfs.core.windows.net/x", "y.jpg", "abfs://box@me.dfs.core.windows.net/x/y.jpg"),
        ("/data", "y.jpg", "/data/y.jpg"),
        ("file:///data", "/abs/y.jpg", "/abs/y.jpg"),
    ],
)
def test_names_below_an_address_come_before_its_query(base: str, path: str, joined: str) -> None:
    assert below(base, path) == joined


def test_the_folder_of_a_table_is_reached_as_the_table_is() -> None:
    assert folder_of("s3://b/t/p.parquet?endpoint_override=h:9/x") == "s3://b/t?endpoint_override=h:9/x"
    assert folder_of("/data/p.parquet") == "/data"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A server on this machine that answers with the path it was asked for, and is busy at first."""
    busy = {"/busy.jpg": 2}

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.wfile.write(self.answer())

        def answer(self) -> bytes:
            busy[self.path] = busy.get(self.path, 0) - 1
            data = self.path.encode()
            self.send_response(503 if busy[self.path] >= 0 else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            return data

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_what_is_asked_of_the_web_is_part_of_the_name(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earthclip.cluster.storage._FIRST_PAUSE_S", 0.0)
    for address in (f"{web}/photo?id=1", f"{web}/photo?id=2", f"{web}/busy.jpg"):
        assert list(find(address, (), PassedOver())) == [address]
        assert f"{web}{read_bytes(address).decode()}" == address


def test_what_a_package_raises_is_the_fault_of_one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    class PayloadError(Exception):
        pass

    class Broken:
        fault: Exception

        def open_input_stream(self, path: str) -> object:
            raise self.fault

    broken = Broken()
    monkeypatch.setattr("earthclip.cluster.storage.open_storage", lambda where: (broken, where))
    monkeypatch.setattr("earthclip.cluster.storage._FIRST_PAUSE_S", 0.0)
    for fault, says in ((PayloadError("cut"), r"\(cut\); tried 4"), (ValueError("Empty path component"), "Empty path")):
        broken.fault = fault
        with pytest.raises(InputError, match=says):
            read_bytes("s3://b//x.jpg")


def test_nothing_is_seen_before_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """At addresses where a file grows in sight of all, it grows under another name."""
    system, _ = open_storage("memory://whole/x")
    seen: list[str] = []
    opened = system.open_output_stream

    class Watched:
        def __getattr__(self, name: str) -> object:
            return getattr(system, name)

        def open_output_stream(self, path: str) -> object:
            seen.append(path)
            return opened(path)

    monkeypatch.setattr("earthclip.cluster.storage.open_storage", lambda where: (Watched(), "/whole/x"))
    write_bytes("memory://whole/x", b"1")
    write_bytes("memory://whole/x", b"2")
    monkeypatch.undo()
    assert seen == ["/whole/x.part"] * 2 and read_bytes("memory://whole/x") == b"2"
    assert list(find("memory://whole", ("",), PassedOver())) == ["memory://whole/x"]


def test_hidden_files_at_an_address_are_left_out_and_others_counted() -> None:
    for name in ("1.jpg", ".trash/2.jpg", "._3.jpg", "notes.txt"):
        write_bytes(f"memory://hidden/{name}", b"")
    passed_over = PassedOver()
    assert list(find("memory://hidden", (".jpg",), passed_over)) == ["memory://hidden/1.jpg"]
    assert str(passed_over) == "skipped 1 file that is not a picture"

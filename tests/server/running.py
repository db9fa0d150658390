"""A server in a process of its own, as people run it, and a client that can send what no decent client sends."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.pictures.processes import children

COMMAND = [sys.executable, "-m", "earthclip", "serve"]
BOUNDARY = "a-boundary"


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json", self.headers
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The one line of a refusal."""
        assert self.status >= 400 and set(self.json) == {"error"} and "\n" not in self.json["error"]
        return str(self.json["error"])


class Running:
    """A server process and its address."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self.log = process, log
        assert process.stderr is not None
        self.said = ""
        for line in process.stderr:
            self.said += line
            if line.startswith("serving "):
                self.host, _, port = re.split("[ /]", line.split(" at http://")[1])[0].rpartition(":")
                self.port = int(port)
                return
        raise AssertionError(f"the server did not start: {self.said}")

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 60,
    ) -> Reply:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            got = connection.getresponse()
            return Reply(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())

    def locate(self, *photos: bytes, headers: dict[str, str] | None = None, **fields: str | Sequence[str]) -> Reply:
        return self.ask("POST", "/v1/locate", form(*photos, **fields), FORM | (headers or {}))

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def line_of(self, reply: Reply) -> dict[str, Any]:
        """What the log says of a request; it is written after the answer is sent."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            for line in self.lines():
                if line["event"] == "request" and line["id"] == reply.headers["x-request-id"]:
                    return line
            time.sleep(0.01)
        raise AssertionError("the request is not in the log")

    def decoders(self) -> list[int]:
        """The processes that read photos."""
        return children(self.process.pid)

    def waiting(self) -> int:
        """How many photos are let in and not answered yet."""
        metrics = self.ask("GET", "/metrics").body.decode()
        return int(float(metrics.split("\nearthclip_waiting ")[1].split()[0]))

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(*photos: bytes, name: str = "photo.jpg", **fields: str | Sequence[str]) -> bytes:
    parts = [(f'name="photos"; filename="{name}"\r\nContent-Type: application/octet-stream', p) for p in photos]
    for field, values in fields.items():
        all_values = [values] if isinstance(values, str) else values
        parts += [(f'name="{field}"', value.encode()) for value in all_values]
    lines = [f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + b for head, b in parts]
    return b"\r\n".join([*lines, f"--{BOUNDARY}--\r\n".encode()])


@contextlib.contextmanager
def running(
    model: str | Path, folder: Path, *options: str, command: Sequence[str] | None = None, **environment: str
) -> Iterator[Running]:
    """A ready server of ``model`` with its own cache, log and folder of temporary files under ``folder``."""
    for name in ("home", "temporary"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    own = {"EARTHCLIP_HOME": str(folder / "home"), "TMPDIR": str(folder / "temporary")}
    arguments = [*(command or COMMAND), "--model", str(model), "--port", "0", *options]
    log = folder / f"log-{time.monotonic_ns()}.jsonl"
    with log.open("w") as stdout:
        process = subprocess.Popen(
            arguments, stdout=stdout, stderr=subprocess.PIPE, text=True, env=os.environ | own | environment
        )
        try:
            yield Running(process, log)
        finally:
            process.terminate()  # a process that is killed does not write down what it ran
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()

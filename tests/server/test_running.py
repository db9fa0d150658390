"""The process: who may ask, how much waits, how it starts and ends; and what it tells of itself."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from earthclip.errors import ConfigError
from earthclip.server.settings import ApiKey, Settings, hosts_of, is_loopback, read_api_key
from tests.server.conftest import photo_of
from tests.server.running import COMMAND, FORM, Running, form, running

KEY = "correct-horse-battery-staple"
SLOW = (
    "import sys, time; from earthclip.cli import main; from earthclip.server.service import Service; "
    "work = Service._work; "
    "Service._work = lambda self, *rest: (time.sleep(0.5), work(self, *rest))[1]; sys.exit(main())"
)
SLOWLY = [sys.executable, "-c", SLOW, "serve"]


def test_embed_is_the_library_s(server: Running, tiny_model: Path) -> None:
    from earthclip.locating.locator import load

    reply = server.ask("POST", "/v1/embed", b'{"coordinates": [[59.9, 10.8], [-33.9, 151.2]]}', JSON)
    expected = load(tiny_model).encode_location([[59.9, 10.8], [-33.9, 151.2]])
    assert reply.json["embeddings"] == [pytest.approx(row, abs=1e-6) for row in expected.tolist()]
    assert server.ask("POST", "/v1/embed", b'{"coordinates": []}', JSON).json["embeddings"] == []


JSON = {"Content-Type": "application/json"}


def test_metrics(server: Running, photo: bytes) -> None:
    server.locate(photo)
    server.ask("GET", "/never/heard/of")
    text = server.ask("GET", "/metrics").body.decode()
    assert 'earthclip_requests_total{method="POST",route="/v1/locate",status="200"}' in text
    assert "earthclip_waiting 0.0" in text and "earthclip_ready 1.0" in text and "never" not in text
    assert "earthclip_batch_size_bucket" in text and 'earthclip_pictures_total{outcome="located"}' in text


def test_api_key(tiny_model: Path, tmp_path: Path, photo: bytes) -> None:
    with running(tiny_model, tmp_path, EARTHCLIP_API_KEY=KEY) as server:
        for headers in ({}, {"X-API-Key": KEY + "x"}, {"X-API-Key": ""}, {"Authorization": f"Basic {KEY}"}):
            reply = server.locate(photo, headers=headers)
            assert reply.status == 401 and reply.headers["www-authenticate"] == "Bearer" and "X-API-Key" in reply.error
        assert server.ask("GET", "/metrics").status == server.ask("GET", "/v1/models").status == 401
        assert server.ask("GET", "/healthz").status == server.ask("GET", "/readyz").status == 200
        assert server.ask("GET", "/docs").status == server.ask("GET", "/").status == 200
        assert server.locate(photo, headers={"X-API-Key": KEY}).status == 200
        assert server.locate(photo, headers={"Authorization": f"bearer {KEY}"}).status == 200
        assert KEY not in server.log.read_text() + server.said


def test_a_full_queue_says_when_to_come_back_and_sigterm_waits_for_it(
    tiny_model: Path, tmp_path: Path, photo: bytes
) -> None:
    with running(tiny_model, tmp_path, "--max-waiting", "4", "--batch-size", "1", command=SLOWLY) as server:
        replies = []
        clients = [threading.Thread(target=lambda: replies.append(server.locate(photo))) for _ in range(12)]
        for client in clients:
            client.start()
        time.sleep(1)
        began = time.monotonic()
        assert server.stop() == 0
        for client in clients:
            client.join()
        statuses = sorted(reply.status for reply in replies)
        assert statuses == [200] * 4 + [429] * 8 and time.monotonic() - began < 10
        refused = next(reply for reply in replies if reply.status == 429)
        assert int(refused.headers["retry-after"]) >= 1 and "waiting already" in refused.error
        assert server.lines()[-1]["event"] == "ended"
    assert list((tmp_path / "temporary").iterdir()) == []


def test_first_come_first_served(tiny_model: Path, tmp_path: Path, photo: bytes) -> None:
    with running(tiny_model, tmp_path, "--batch-size", "1", command=SLOWLY) as server:
        served = []

        def client(number: int) -> None:
            assert server.locate(photo).status == 200
            served.append(number)

        clients = [threading.Thread(target=client, args=[number]) for number in range(5)]
        for number, one in enumerate(clients, 1):
            one.start()
            while server.waiting() + len(served) < number:
                time.sleep(0.01)
            time.sleep(0.05)  # for the decoder, which may have more than one photo at a time
        for one in clients:
            one.join()
    assert served == [0, 1, 2, 3, 4]


def test_time_runs_out(tiny_model: Path, tmp_path: Path, photo: bytes) -> None:
    with running(tiny_model, tmp_path, "--timeout", "0.2", command=SLOWLY) as server:
        reply = server.locate(photo)
        assert reply.status == 504 and "no answer within 0.2 s" in reply.error
        assert server.ask("GET", "/readyz").status == 200


def test_a_fault_in_the_model_is_500_once(tiny_model: Path, tmp_path: Path, photo: bytes) -> None:
    broken = SLOW.replace("time.sleep(0.5)", "1 / len(sys.argv[99:])")
    with running(tiny_model, tmp_path, command=[sys.executable, "-c", broken, "serve"]) as server:
        reply = server.locate(photo)
        fault = next(line for line in server.lines() if line["event"] == "fault")
        assert reply.status == 500 and fault["id"] in reply.error and "ZeroDivisionError" in fault["trace"]
        assert server.ask("GET", "/readyz").status == 200


def test_killed_under_load_it_comes_back(tiny_model: Path, tmp_path: Path) -> None:
    photos = [photo_of(seed, size=(800, 600)) for seed in range(4)]
    with running(tiny_model, tmp_path) as server:

        def client(number: int) -> None:
            try:
                for _ in range(200):
                    server.locate(photos[number % 4])
            except (OSError, http.client.HTTPException):
                pass

        clients = [threading.Thread(target=client, args=[number]) for number in range(8)]
        for one in clients:
            one.start()
        time.sleep(0.5)
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        for one in clients:
            one.join()
        port = server.port
    with running(tiny_model, tmp_path, "--port", str(port)) as again:
        assert again.port == port and again.locate(photos[0]).status == 200
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "environment", "says"),
    [
        (["--model", "obrit"], {}, "unknown model 'obrit'; did you mean 'orbit'?"),
        (["--host", "nowhere.invalid"], {}, "no such address"),
        ([], {"EARTHCLIP_API_KEY": "short"}, "the API key has 5 characters"),
        ([], {"EARTHCLIP_API_KEY": " "}, "EARTHCLIP_API_KEY is empty"),
        (["--api-key-file", "nowhere.txt"], {}, "nowhere.txt: the API key cannot be read"),
        (["--max-waiting", "0"], {}, "expected at least 1"),
    ],
)
def test_what_it_will_not_start_with(
    options: list[str], environment: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([*COMMAND, "--port", "0", *options], capture_output=True, text=True, timeout=30)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 2 and last.startswith("error: ") and says in last and "Traceback" not in done.stderr


def test_a_port_in_use(tiny_model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [*COMMAND, "--model", str(tiny_model), "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert done.stderr.startswith(f"model: tiny\nerror: 127.0.0.1:{port}: cannot listen there")


def test_every_network_without_a_key_is_warned_of(tiny_model: Path, tmp_path: Path, photo: bytes) -> None:
    with running(tiny_model, tmp_path, "--host", "0.0.0.0") as server:
        assert server.said.startswith("warning: anyone who can reach 0.0.0.0")
        reply = server.ask("POST", "/v1/locate", form(photo), FORM | {"Host": "photos.example"})
        assert reply.status == 200


def test_settings() -> None:
    assert is_loopback("127.0.0.1") and is_loopback("::1") and is_loopback("localhost") and not is_loopback("0.0.0.0")
    assert hosts_of("0.0.0.0") is None and "localhost" in (hosts_of("127.0.0.1") or ())
    wrong_roots = ({"root_path": "geo"}, {"root_path": "/geo/"}, {"root_path": "/"}, {"root_path": "//geo"})
    numbers = ({"wait_ms": float("nan")}, {"max_photos": 65}, {"max_body_mb": 0.0}, {"max_bodies_mb": 1.0})
    for wrong in (*numbers, *wrong_roots):
        with pytest.raises(ConfigError):
            Settings(**wrong)  # type: ignore[arg-type]
    key = ApiKey(KEY)
    assert key.matches(KEY.encode()) and not key.matches(b"") and KEY not in repr(Settings(api_key=key)) + repr(key)
    assert read_api_key(None, {}) is None

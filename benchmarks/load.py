"""The server under load: many clients on the same processors, against `earthclip locate` on the same files.

    python benchmarks/load.py --requests 2000 --clients 32 --model orbit

Prints rates, latencies, statuses and the server's memory over time; exits 1 when a status is neither 200 nor 429, when
the rate is below 85 % of that of the command, which writes GeoJSON to hold the outlines that the server sends, or when
memory grew by more than a tenth after the first quarter.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.photos import make_photos  # noqa: E402
from tests.pictures.processes import children  # noqa: E402

BOUNDARY = b"load"
ENOUGH, MOST_GROWTH = 0.85, 0.10
CLI = [sys.executable, "-m", "earthclip"]


def request_of(photo: bytes, fields: dict[str, str]) -> bytes:
    parts = [b'name="photos"; filename="p.jpg"\r\n\r\n' + photo]
    parts += [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    body = b"".join(b"--%s\r\nContent-Disposition: form-data; %s\r\n" % (BOUNDARY, part) for part in parts)
    body += b"--%s--\r\n" % BOUNDARY
    head = (
        b"POST /v1/locate HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=%s\r\n" % BOUNDARY
    )
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def one_client(port: int, bodies: list[bytes], turns: asyncio.Queue[int], seen: list[tuple[int, float]]) -> None:
    """Ask, and wait where the server says so, until there are no more turns."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while not turns.empty():
        body = bodies[turns.get_nowait() % len(bodies)]
        status = 429
        while status == 429:
            began = time.perf_counter()
            writer.write(body)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            await reader.readexactly(int(fields[b"content-length"]))
            seen.append((status, time.perf_counter() - began))
            if status == 429:
                await asyncio.sleep(float(fields.get(b"retry-after", b"1")))
    writer.close()


async def all_clients(port: int, bodies: list[bytes], requests: int, clients: int) -> list[tuple[int, float]]:
    turns: asyncio.Queue[int] = asyncio.Queue()
    for turn in range(requests):
        turns.put_nowait(turn)
    seen: list[tuple[int, float]] = []
    await asyncio.gather(*(one_client(port, bodies, turns, seen) for _ in range(clients)))
    return seen


def clients_process(port: int, paths: list[Path], fields: dict[str, str], requests: int, clients: int, pipe) -> None:
    bodies = [request_of(path.read_bytes(), fields) for path in paths]
    asyncio.run(all_clients(port, bodies, min(requests, 2 * clients), clients))  # warm, not counted
    began, cpu = time.perf_counter(), time.process_time()
    pipe.send("warm")
    seen = asyncio.run(all_clients(port, bodies, requests, clients))
    pipe.send((seen, time.perf_counter() - began, time.process_time() - cpu))


def memory_mb(pid: int) -> float:
    """Of the server and the processes that decode for it."""
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in (pid, *children(pid)))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_seconds(pid: int) -> float:
    """Of the server and the processes that decode for it."""
    stats = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in (pid, *children(pid))]
    return sum(int(ticks) for fields in stats for ticks in fields[11:13]) / os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    seen: list[tuple[int, float]]  # status and seconds of each request
    seconds: float
    memory: list[float]  # MB, each second
    ready: float
    cpu: tuple[float, float]  # seconds of the server's and of the clients' process


def serve_and_ask(arguments: argparse.Namespace, paths: list[Path], home: str) -> Run:
    command = [*CLI, "serve", "--model", arguments.model, "--port", "0"]
    began = time.perf_counter()
    with (
        tempfile.TemporaryFile("w") as log,
        subprocess.Popen(
            command, stdout=log, stderr=subprocess.PIPE, text=True, env=os.environ | {"EARTHCLIP_HOME": home}
        ) as server,
    ):
        try:
            said = next(line for line in server.stderr if line.startswith("serving "))
            ready = time.perf_counter() - began
            port = int(said.split(" at http://")[1].split()[0].rpartition(":")[2])
            ours, theirs = multiprocessing.Pipe()
            rest = (port, paths, dict(arguments.field), arguments.requests, arguments.clients, theirs)
            clients = multiprocessing.Process(target=clients_process, args=rest)
            clients.start()
            ours.recv()
            memory, cpu = [memory_mb(server.pid)], cpu_seconds(server.pid)
            while not ours.poll(1.0):
                memory.append(memory_mb(server.pid))
                if not clients.is_alive():
                    raise SystemExit("the clients' process died; see above")
            seen, seconds, clients_cpu = ours.recv()
            memory.append(memory_mb(server.pid))
            cpu = cpu_seconds(server.pid) - cpu
            clients.join()
        finally:
            server.terminate()
    return Run(seen, seconds, memory, ready, (cpu, clients_cpu))


def command_rate(model: str, paths: list[Path], count: int, home: str) -> tuple[float, float]:
    """Pictures a second of `earthclip locate`, its start and end included, and its CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "list.txt")
        listed.write_text("\n".join(str(paths[n % len(paths)]) for n in range(count)))
        command = [*CLI, "locate", "--list", str(listed), "--model", model, "--format", "geojson"]
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [*command, "-o", str(Path(folder, "out.geojson"))],
            check=True,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"EARTHCLIP_HOME": home},
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return count / (time.perf_counter() - began), cpu


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--model", default="orbit")
    parser.add_argument("--photos", type=Path, help="a folder of pictures [photos of 12 megapixels, made]")
    parser.add_argument("--field", nargs=2, action="append", default=[], help="such as: --field outlines 0")
    parser.add_argument("-o", "--output", type=Path, help="write the figures there, as JSON")
    arguments = parser.parse_args()
    folder = arguments.photos or ROOT / "build" / "photos"
    paths = sorted(p for p in folder.iterdir() if p.is_file()) if arguments.photos else make_photos(folder, 16)
    with tempfile.TemporaryDirectory() as home:
        few = min(arguments.requests, 64)
        command_rate(arguments.model, paths, few, home)  # fills the cache that both use
        by_command, command_cpu = command_rate(arguments.model, paths, arguments.requests, home)
        run = serve_and_ask(arguments, paths, home)
    memory = run.memory
    statuses = Counter(status for status, _ in run.seen)
    answered = sorted(latency for status, latency in run.seen if status == 200)
    centiles = statistics.quantiles(answered, n=100)
    settled = memory[len(memory) // 4 :]
    growth = settled[-1] / settled[0] - 1
    figures = {
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "load_at_the_end": round(os.getloadavg()[0], 1),
        "requests": arguments.requests,
        "clients": arguments.clients,
        "megabytes_a_photo": round(sum(p.stat().st_size for p in paths) / len(paths) / 1e6, 2),
        "statuses": dict(statuses),
        "server_a_second": round(statuses[200] / run.seconds, 1),
        "command_a_second": round(by_command, 1),
        "server_to_command": round(statuses[200] / run.seconds / by_command, 2),
        # Of processors, which neighbours on the machine distort less than they do the rates.
        "cpu_ms_a_photo": {
            name: round(1000 * cpu / arguments.requests, 1)
            for name, cpu in zip(("server", "clients", "command"), (*run.cpu, command_cpu), strict=True)
        },
        "p50_ms": round(centiles[49] * 1000),
        "p99_ms": round(centiles[98] * 1000),
        "ready_s": round(run.ready, 2),
        "memory_mb": [round(memory[len(memory) * part // 8]) for part in range(8)] + [round(memory[-1])],
        "growth_after_first_quarter": round(growth, 3),
    }
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")
    fine = set(statuses) <= {200, 429} and figures["server_to_command"] >= ENOUGH and growth <= MOST_GROWTH
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())

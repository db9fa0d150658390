"""The run on Ray: a cluster started or joined, blocks given to its workers, and the outcome of each reported.

Only names, row numbers and counts pass the driver; pictures are fetched, and answers written, by the workers.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from earthclip import errors
from earthclip.configuration import usable_processors
from earthclip.datasets.shards import reason
from earthclip.errors import EarthCLIPError, InputError, MissingExtraError

_PROCESSORS = 4  # of a worker, where nobody says how many: fewer keep the memory of a machine full of models
_ANSWERS_WITHIN_S = 10.0
_STORE_BYTES = 200_000_000  # of shared memory on one machine: only names pass through it
_PREFIX = "earthclip-ray-"
_CLUSTER_HERE = Path("/tmp/ray/ray_current_cluster")  # where `ray start` leaves the address
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no usage report is sent
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_DATA_LOG_LEVEL": "ERROR",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what will be the default, which Ray else warns of
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}


@dataclass(frozen=True)
class BlockDone:
    """What came of one block: how many rows were answered, how many not, and the first faults in words.

    ``lost`` workers were ended while they were at it.
    """

    block: int
    answered: int
    failed: int
    lost: int
    errors: list[str]


def answer_on_cluster(
    worker: type, job: Any, blocks: list[Any], workers: int | None = None, processors: int | None = None
) -> Generator[BlockDone, None, None]:
    """Answer ``blocks`` (of ``blocks.blocks_of``) on all machines of a cluster; gives each when it is written.

    ``worker`` is a class of ``workers.BlockWorker``, and ``job`` the dataclass it is made of, whose ``processors`` are
    set here. ``workers`` with ``processors`` each are made once; None fills the cluster. A block whose worker is lost
    is answered by another one, with the same file in the end. Raises what a worker could not go on from, and
    EarthCLIPError for a fault of Ray's.
    """
    if not blocks:
        return
    with on_ray() as ray:
        import ray.data

        from earthclip.cluster.workers import Attempts

        count, each = _share(ray, len(blocks), workers, processors)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        attempts = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Attempts).remote()
        # Ordinary data and no read tasks: those would wait for the processors that the workers have taken.
        answered = ray.data.from_arrow(blocks).map_batches(
            worker,
            fn_constructor_args=(replace(job, processors=each), attempts),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=each,
            compute=ray.data.ActorPoolStrategy(size=count),
        )
        try:
            for batch in answered.iter_batches(batch_size=None, batch_format="pyarrow"):
                for row in batch.to_pylist():
                    if fault := row.pop("fault"):
                        raise _fault(fault)
                    yield BlockDone(**row)
        except ray.exceptions.RayError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            last = " ".join(lines[-1].split())[:200] if lines else type(error).__name__
            raise EarthCLIPError(f"Ray: {last}; finished blocks are kept, continue with --resume") from error


def _fault(text: str) -> EarthCLIPError:
    """The worker's error again, of its own class where it is of the family."""
    name, _, message = text.partition(": ")
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, EarthCLIPError) and kind is not MissingExtraError:
        return kind(message)
    return EarthCLIPError(message)


def _share(ray: Any, blocks: int, workers: int | None, processors: int | None) -> tuple[int, int]:
    """How many workers, and how many processors each, fit the cluster as it is now."""
    nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    most = max(nodes, default=0)
    if workers is None or processors is None:  # or both are the user's, and machines may be on their way
        if not most:
            raise EarthCLIPError(
                "Ray: no machine with CPUs has joined the cluster yet; wait, or set --workers and --worker-cpus"
            )
        if processors and processors > most:
            raise InputError(
                f"--worker-cpus {processors}: the largest machine has {most} CPUs; lower it, or set --workers too"
            )
    if processors is None:
        processors = max(1, min(_PROCESSORS, most, sum(nodes) // workers if workers else most))
    if workers is None:
        workers = sum(node // processors for node in nodes)
    return min(workers, blocks), processors


def import_ray() -> Any:
    """Ray, set to tell nobody of its use. Raises MissingExtraError without the extra ``ray``."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        importlib.import_module("pyarrow.parquet")
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtraError("earthclip cluster", "ray", error.name or "ray") from error
    return ray


@contextlib.contextmanager
def on_ray() -> Iterator[Any]:
    """Ray, connected to: this process's, the one RAY_ADDRESS names, this machine's, or one that ends with the block.

    Raises MissingExtraError, and EarthCLIPError where there is no cluster at that address.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    address = _cluster_to_join()
    folder = None
    try:
        if address:
            ray.init(address, **quiet)
        else:
            # Ray's sockets need a short path. Its password would else be kept in the user's home.
            remove_left(_PREFIX)
            folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            ray.init(
                "local",
                num_cpus=usable_processors(),
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                _temp_dir=folder,
                **quiet,
            )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        where = f"at {address}" if address else "on this machine"
        raise EarthCLIPError(f"Ray: no cluster {where} ({reason(error)}); check RAY_ADDRESS, or unset it") from error
    try:
        yield ray
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def remove_left(prefix: str) -> None:
    """Remove the temporary folders called ``prefix``, a process and a rest, whose process was killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}[0-9]*-*"):
        try:
            os.kill(int(folder.name.removeprefix(prefix).split("-")[0]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (ValueError, OSError):
            continue  # another user's


def _cluster_to_join() -> str | None:
    """The address that RAY_ADDRESS names, or of the cluster of this machine where one runs. Raises EarthCLIPError."""
    if named := os.environ.get("RAY_ADDRESS"):
        if named != "auto" and (fault := _unreachable(named)):
            raise EarthCLIPError(f"Ray: no cluster at {named} ({fault}); check RAY_ADDRESS, or unset it")
        return named
    try:
        here = _CLUSTER_HERE.read_text().strip()
    except OSError:
        return None
    return None if _unreachable(here) else here  # a cluster that was killed leaves its address


def _unreachable(address: str) -> str | None:
    """Why nobody answers there; Ray itself would try for minutes, without a word."""
    host, _, port = address.rpartition("://")[2].partition("/")[0].rpartition(":")
    if not host or not port.isdecimal():
        return None  # a form of Ray's own, such as local
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWERS_WITHIN_S).close()
    except OSError as error:
        return reason(error)
    return None

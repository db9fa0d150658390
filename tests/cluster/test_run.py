"""Which cluster is joined, and how it is shared out; test_on_ray.py runs one."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from earthclip.cluster import run
from earthclip.errors import EarthCLIPError, InputError


def nodes(*processors: float) -> SimpleNamespace:
    return SimpleNamespace(nodes=lambda: [{"Alive": True, "Resources": {"CPU": count}} for count in processors])


@pytest.mark.parametrize(
    ("machines", "workers", "processors", "share"),
    [
        ((2,), None, None, (1, 2)),
        ((0, 8, 8), None, None, (4, 4)),
        ((0, 8, 8), 2, None, (2, 4)),
        ((2, 2, 2), 1, None, (1, 2)),  # one machine's at most
        ((4, 4), None, 3, (2, 3)),
        ((0,), 8, 4, (8, 4)),  # the machines are on their way
    ],
)
def test_workers_fit_the_machines(machines, workers, processors, share):
    assert run._share(nodes(*machines), 100, workers, processors) == share


def test_no_more_workers_than_blocks():
    assert run._share(nodes(8, 8), 1, None, None) == (1, 4)


def test_what_no_machine_can_hold_is_said():
    with pytest.raises(InputError, match=r"--worker-cpus 8: the largest machine has 4"):
        run._share(nodes(4, 2), 100, None, 8)
    with pytest.raises(EarthCLIPError, match="no machine with CPUs has joined the cluster yet"):
        run._share(nodes(0), 100, None, None)


def test_a_cluster_that_is_gone_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"127.0.0.1:{server.getsockname()[1]}"
        left = tmp_path / "ray_current_cluster"
        monkeypatch.setattr(run, "_CLUSTER_HERE", left)
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        assert run._cluster_to_join() is None
        left.write_text(there + "\n")
        assert run._cluster_to_join() == there
    assert run._cluster_to_join() is None
    for address in (there, f"ray://{there}"):
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(EarthCLIPError, match=rf"no cluster at {address} \(.*refused\); check RAY_ADDRESS"):
            run._cluster_to_join()
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert run._cluster_to_join() == "local"

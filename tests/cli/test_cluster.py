"""``earthclip cluster``: a Ray of its own, and what is said of options. tests/cluster/test_on_ray.py has the rest."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earthclip.cli import cluster
from earthclip.cli.cluster_run import _inputs
from tests.cluster.on_ray import EXACT, answers, run
from tests.tiny import WIDTH


@pytest.mark.slow
def test_a_cluster_of_its_own_is_interrupted_goes_on_and_leaves_nothing(tiny_model: Path, tmp_path: Path) -> None:
    places = np.random.default_rng(0).uniform((-90, -180), (90, 180), (1_600, 2))
    table = pa.table({"name": [f"p{i}" for i in range(1_600)], "lat": places[:, 0], "lon": places[:, 1]})
    pq.write_table(table, tmp_path / "places.parquet", row_group_size=700)
    given = ["embed", "places", tmp_path / "places.parquet", "--model", tiny_model, *EXACT]
    environment = os.environ | {"TMPDIR": tempfile.mkdtemp(prefix="ec-")}
    environment.pop("RAY_ADDRESS", None)
    command = [sys.executable, "-m", "earthclip", "cluster", *map(str, given), "-o", "features"]
    out = tmp_path / "features"
    with subprocess.Popen(
        [*command, "--block-size", "16"], stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment
    ) as running:
        while len(list(out.glob("part-*"))) < 2 and running.poll() is None:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        said = running.communicate()[1].splitlines()
    kept = len(list(out.glob("part-*.parquet")))
    assert running.returncode == 130 and 2 <= kept < 100
    assert len(said) == 2 and said[1].startswith("interrupted: ") and said[1].endswith("; continue with --resume"), said

    # Without --block-size the blocks of before are kept.
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True, cwd=tmp_path, env=environment)
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout, len(lines)) == (0, "", 2), done.stderr
    assert lines[0] == "model: tiny" and lines[1].startswith(f"{out}: {1_600 - 16 * kept:,} answered, 0 failed, ")
    assert list(Path(environment["TMPDIR"]).glob("earthclip-*")) == []
    shutil.rmtree(environment["TMPDIR"])
    assert run(*given, "-o", tmp_path / "local.parquet") == 0
    local, found = pq.read_table(tmp_path / "local.parquet"), pa.Table.from_pylist(answers(out))
    assert found.schema.names == [*local.schema.names, "error"] and found.column("error").null_count == 1_600
    assert found.select(["name", "lat", "lon"]).equals(local.select(["name", "lat", "lon"]))
    names = [f"feature_{i:03}" for i in range(WIDTH)]
    np.testing.assert_allclose(
        np.stack(found.select(names).columns, 1), np.stack(local.select(names).columns, 1), atol=1e-6
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["locate", "s3://bucket/*.jpg"], "s3://bucket/*.jpg: this command reads and writes local files"),
        (
            ["locate", "a.jpg", "-o", "s3://bucket/a.csv"],
            "s3://bucket/a.csv: this command reads and writes local files",
        ),
        (["embed", "places", "s3://b/t.parquet", "-o", "x.npy"], "use 'earthclip cluster'"),
        (["cluster", "embed", "images", "a.jpg", "-o", "x", "--text", "sea"], "no such option '--text'"),
        (["cluster", "locate", "a.jpg"], "Missing option '-o'"),
        (["cluster", "locate", "a.jpg", "-o", "-"], "a cluster writes a folder of files, not standard output"),
        (["cluster", "locate", "a.jpg", "-o", "x", "--format", "csv"], "no such option '--format'"),
        (["cluster", "locate", "a.jpg", "-o", "x", "--map", "m.html"], "no such option '--map'"),
        (["cluster", "locate", "--text", "sea", "-o", "x"], "give a PICTURE; a text alone needs no cluster"),
        (["cluster", "embed", "images", "-o", "x"], "give a PICTURE"),
        (["cluster", "spark"], "no such command 'spark'; "),
    ],
)
def test_what_does_not_go_together(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert says in capsys.readouterr().err


def test_without_the_extra(
    tiny_model: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run("cluster", "locate", picture, "--model", tiny_model, "-o", tmp_path / "x") == 2
    assert "pip install 'earthclip[ray]'" in capsys.readouterr().err


def test_embed_on_a_cluster_takes_parquet(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("lat,lon\n1,2\n")
    given = ["embed", "places", tmp_path / "t.csv", "--model", tiny_model, "-o", tmp_path / "x"]
    assert run("cluster", *given) == 2
    assert "'earthclip cluster embed places' reads Parquet" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
    assert run(*given, "--workers", 2) == 2
    assert "no such option '--workers'" in capsys.readouterr().err


ADDRESSES = ("s3://bucket/a/*.jpg", "gs://b", "https://host/x.jpg?a=1", "file:///abs/x y.jpg", "photos/a.jpg", "/a.jpg")


def test_addresses_are_text_in_arguments_and_lists(tmp_path: Path) -> None:
    context = cluster.locate.make_context("locate", [*ADDRESSES, "-o", "s3://b/out/"])
    assert (context.params["pictures"], context.params["output"]) == (ADDRESSES, "s3://b/out/")
    (tmp_path / "list.txt").write_text("\n".join((*ADDRESSES, "a[1].jpg", "-")))
    assert list(_inputs((), tmp_path / "list.txt")) == [*ADDRESSES, "a[1].jpg", "-"]

"""``earthclip cluster``: the answers of one machine, from a cluster of two workers of which one is killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earthclip.cli import cluster, main
from earthclip.cli.cluster_features import ExtractionJob, extract_on_cluster
from earthclip.cli.cluster_run import _inputs
from earthclip.cluster.run import answer_on_cluster
from earthclip.cluster.workers import BlockWorker
from earthclip.datasets.feature_store import open_features
from earthclip.datasets.opening import open_photos
from earthclip.errors import EarthCLIPError
from earthclip.locating.locator import load
from tests.nn.tiny_clip import write_clip
from tests.pictures.processes import children
from tests.tiny import WIDTH, write_picture, write_tiny_model

EXACT = ["--runtime", "onnxruntime"]
slow = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc"),
    # Ray's own: it reads its settings by names that it has replaced.
    pytest.mark.filterwarnings("ignore:`use_:DeprecationWarning:ray.data.context"),
]


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def answers(folder: Path) -> list[dict[str, object]]:
    """Rows in the order of the blocks."""
    parts = sorted(folder.glob("part-*.parquet"))
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


def ray_workers(pid: int, name: bytes = b"LocateWorker") -> list[int]:
    """Descendants that hold a model and answer a block at this moment."""
    found = []
    for child in children(pid):
        with contextlib.suppress(OSError):
            title = Path(f"/proc/{child}/cmdline").read_bytes()
            found += [child] if b"MapBatches(%b)" % name in title and b"submit" in title else ray_workers(child, name)
    return found


class Killer(threading.Thread):
    """Ends one worker with SIGKILL when a few blocks are written."""

    def __init__(self, folder: Path, name: bytes = b"LocateWorker") -> None:
        super().__init__(daemon=True)
        self.folder, self.name_of_worker, self.killed = folder, name, 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            if (
                not self.killed
                and len(list(self.folder.glob("part-*"))) >= 2
                and (found := ray_workers(os.getpid(), self.name_of_worker))
            ):
                self.killed = found[0]
                os.kill(self.killed, signal.SIGKILL)
            time.sleep(0.005)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Ray cluster of two processors in this process, and the model folder that its workers find."""
    from earthclip.cluster.run import import_ray

    tiny = write_tiny_model(tmp_path_factory.mktemp("model") / "tiny")
    folder = tempfile.mkdtemp(prefix="earthclip-test-")  # a short path, for Ray's sockets
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EARTHCLIP_HOME", str(tmp_path_factory.mktemp("home")))
        environment.setenv("RAY_AUTH_TOKEN", "t" * 64)  # or Ray keeps one in the user's home
        ray = import_ray()
        ray.init(
            "local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=100_000_000,
            _temp_dir=folder,
        )
        yield tiny
        ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 40 photos, one of them cut short, and a tiny CLIP."""
    folder = tmp_path_factory.mktemp("features")
    write_clip(folder / "clip", with_tokenizer=False)
    for i in range(40):
        write_picture(folder / f"{i}.png", seed=i, size=(60, 40))
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:300])
    rows = [f"{i}.png,{i + 1},{2 * i}" for i in range(40)]
    (folder / "table.csv").write_text("\n".join(["IMG_ID,LAT,LON", *rows]))
    return folder


@dataclass(frozen=True)
class DeadlyJob:
    """Of ``DeadlyWorker``; ``folder`` gets a file for each time that it began block 1."""

    folder: Path
    processors: int = 1


class DeadlyWorker(BlockWorker):
    """Ends its process at block 1, as one does that needs too much memory."""

    def __init__(self, job: DeadlyJob, attempts: object = None) -> None:
        self.folder = job.folder
        super().__init__(job.processors, attempts)

    def make(self, block: int, pieces: object) -> tuple[int, list[str]]:
        if block == 1:
            (self.folder / f"{os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 1, []


class TestOnACluster:
    pytestmark = slow

    def test_a_block_that_ends_five_workers_ends_the_run(self, model: Path, tmp_path: Path) -> None:
        blocks = [pa.table({"block": pa.array([number], pa.int32())}) for number in range(2)]
        with pytest.raises(
            EarthCLIPError, match=r"^5 workers died while processing block 1, most likely because memory"
        ):
            list(answer_on_cluster(DeadlyWorker, DeadlyJob(tmp_path), blocks, 1, 1))
        assert len(list(tmp_path.iterdir())) == 5

    def test_a_killed_worker_loses_nothing(
        self, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("photos").mkdir()
        for i in range(100):
            name = Path("photos", f"{i:03}.png")
            if i < 10:
                write_picture(name, seed=i, size=(600, 400))
            else:
                name.hardlink_to(Path("photos", f"{i % 10:03}.png"))
        Path("photos", "077.png").unlink()
        Path("photos", "077.png").write_bytes(Path("photos", "000.png").read_bytes()[:900])
        given = ["locate", "photos", "gone.jpg", "--model", model, *EXACT, "--top-k", 3]
        asked = ["cluster", *given, "-o", "places", "--workers", 2, "--block-size", 16]
        killer = Killer(tmp_path / "places")
        killer.start()
        code = run(*asked)
        killer.over.set()
        killer.join()
        captured = capsys.readouterr()
        assert (code, captured.out) == (1, "") and killer.killed, captured
        lines = [line for line in captured.err.splitlines() if not line.startswith("block ")]
        lost = captured.err.count(": done by worker 2, as those before it were lost")
        assert lost == len(captured.err.splitlines()) - len(lines) == 1
        assert lines[-1].startswith(f"{tmp_path}/places: 99 answered, 2 failed, ")
        assert captured.err.count("error: ") == 2 and len(lines) == 4

        rows = answers(Path("places"))
        assert run(*given, "--format", "jsonl", "-o", "local.jsonl") == 1
        local = [json.loads(line) for line in Path("local.jsonl").read_text().splitlines()]
        assert [row["path"] for row in rows] == [answer["path"] for answer in local]  # each once, in order
        for row, answer in zip(rows, local, strict=True):
            assert row["error"] == answer.get("error")
            places = [
                {name: place[name] for name in ("latitude", "longitude", "probability")}
                | {"place": place["place"]["text"], "country_code": place["place"]["country_code"]}
                for place in answer.get("predictions", [])
            ]
            assert (row["candidates"] or []) == places
            assert row["mass"] == (answer["verdict"]["mass"] if "verdict" in answer else None)
        assert sorted(path.name for path in Path("places", "_earthclip").iterdir()) == ["blocks.parquet", "run.json"]

        # What is written is not done again, and what is missing is.
        before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in Path("places").glob("part-*")}
        Path("places", "part-000003.parquet").unlink()
        Path("places", "_SUCCESS").unlink()
        assert run(*asked) == 2 and "add --resume to continue" in capsys.readouterr().err
        assert run(*asked, "--resume") == 0  # both failures were in other blocks
        assert "16 answered, 0 failed, 85 before by the interrupted run" in capsys.readouterr().err
        for path in Path("places").glob("part-*"):
            time_ns, content = before.pop(path.name)
            assert path.read_bytes() == content and (path.stat().st_mtime_ns == time_ns) == ("03." not in path.name)
        assert not before and Path("places", "_SUCCESS").exists()
        assert run(*asked, "--resume", "--top-k", 5) == 2
        assert "of a run with top_k 3, found 5" in capsys.readouterr().err
        assert run(*asked, "--resume") == 0
        assert "places: all 101 were answered by an earlier run; nothing is left to do" in capsys.readouterr().err

    def test_embeddings_of_a_table_of_pictures(self, model: Path, tmp_path: Path) -> None:
        files = [write_picture(tmp_path / f"{i}.png", seed=i) for i in range(6)]
        table = pa.table({"id": range(6), "img": [path.read_bytes() for path in files]})
        pq.write_table(table, tmp_path / "photos.parquet")
        given = ["cluster", "embed", "images", f"file://{tmp_path}/photos.parquet", "--model", model, *EXACT]
        assert run(*given, "-o", tmp_path / "e", "--block-size", 3, "--workers", 2) == 0
        rows = answers(tmp_path / "e")
        assert [row["row"] for row in rows] == list(range(6))
        expected = load(model, runtime="onnxruntime").encode_image(files)
        np.testing.assert_allclose(np.array([row["embedding"] for row in rows]), expected, atol=1e-6)

    def test_what_cannot_be_asked_begins_nothing(
        self, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        write_picture(Path("a.png"), seed=1)
        given = ["cluster", "locate", "a.png", "--model", model, *EXACT, "-o", "places"]
        assert run(*given, "--top-k", 0) == 2
        assert "top_k is 0" in capsys.readouterr().err and not Path("places").exists()
        assert run(*given, "--workers", 1) == 0
        before = answers(Path("places"))
        assert run(*given, "--force", "--top-k", 10**6) == 2
        assert run(*given, "--force", "--worker-cpus", 64) == 2
        assert "--worker-cpus 64: the largest machine has 2 CPUs" in capsys.readouterr().err
        assert run(*given, "--workers", 1, "--force") == 0
        assert answers(Path("places")) == before
        Path("elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert run(*given[:-1], tmp_path / "places", "--resume") == 2
        assert f"of a run with folder {tmp_path}, found {tmp_path}/elsewhere" in capsys.readouterr().err

    def test_places_are_the_same_files_whatever_was_killed(self, model: Path, tmp_path: Path) -> None:
        places = np.random.default_rng(0).uniform((-90, -180), (90, 180), (4000, 2))
        pq.write_table(pa.table({"lat": places[:, 0], "lon": places[:, 1]}), tmp_path / "t.parquet")
        given = ["cluster", "embed", "places", tmp_path / "t.parquet", "--model", model, *EXACT]
        how = ["--workers", 2, "--worker-cpus", 1, "--block-size", 16]
        assert run(*given, *how, "-o", tmp_path / "quiet") == 0
        killer = Killer(tmp_path / "killed", b"LocationEmbeddingWorker")
        killer.start()
        assert run(*given, *how, "-o", tmp_path / "killed") == 0
        killer.over.set()
        killer.join()
        assert killer.killed
        quiet, killed = (
            {path.name: path.read_bytes() for path in tmp_path.glob(f"{name}/*t")} for name in ("quiet", "killed")
        )
        assert len(quiet) == 250 and killed == quiet

    def test_embeddings_of_a_folder_of_what_locate_wrote(self, model: Path, tmp_path: Path) -> None:
        files = [write_picture(tmp_path / f"{i}.png", seed=i) for i in range(3)]
        given = [*files, tmp_path / "gone.png", "--model", model, *EXACT, "--workers", 1]
        assert run("cluster", "locate", *given, "--block-size", 2, "-o", tmp_path / "places") == 1
        given = [tmp_path / "places", "--model", model, *EXACT, "--workers", 1]
        assert run("cluster", "embed", "places", *given, "-o", tmp_path / "features") == 1
        rows = answers(tmp_path / "features")
        assert [row["error"] is None for row in rows] == [True, True, True, False]
        assert "no such file" in str(rows[3]["error"]) and rows[3]["feature_000"] is None

    def test_features_are_those_of_one_machine(
        self, model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        how = ["features", photos / "table.csv", "--backbone", photos / "clip", "--views", 2]
        assert run(*how, "--workers", 1, "-o", tmp_path / "here") == 1
        assert run("cluster", *how, "--workers", 1, "-o", tmp_path / "there") == 1
        assert "features of 39 photos, 1 could not be read" in capsys.readouterr().err
        here, there = open_features(tmp_path / "here"), open_features(tmp_path / "there")
        rows = np.arange(39)
        assert here.ids == there.ids and here.failed == there.failed and list(here.failed) == [3]
        for view in (0, 1):
            np.testing.assert_allclose(here.rows(rows, rows * 0 + view), there.rows(rows, rows * 0 + view), atol=0.02)
        assert not (tmp_path / "there" / "_earthclip").exists()
        assert run("cluster", *how, "-o", tmp_path / "there") == 2
        assert "already holds features; add --resume to continue" in capsys.readouterr().err
        (tmp_path / "there" / "features-00000.json").unlink()
        assert run("cluster", *how, "-o", tmp_path / "there", "--resume") == 1
        assert open_features(tmp_path / "there").ids == here.ids

    def test_shards_of_a_killed_worker_are_made_by_another(self, model: Path, photos: Path, tmp_path: Path) -> None:
        taken = open_photos(str(photos / "table.csv"))
        job = ExtractionJob(taken, photos / "clip", str(tmp_path / "there"), 1, 0, shard_rows=4)
        deaths = threading.Event()

        def kill() -> None:
            while not deaths.is_set():
                made = len(list((tmp_path / "there").glob("features-*.json")))
                if made >= 2 and (found := ray_workers(os.getpid(), b"FeatureWorker")):
                    os.kill(found[0], signal.SIGKILL)
                    deaths.set()
                time.sleep(0.005)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        extract_on_cluster(job, resume=False, workers=2, processors=1)
        assert deaths.is_set()
        store = open_features(tmp_path / "there")
        assert (len(store), store.about.shards, list(store.failed)) == (39, 10, [3])


@pytest.mark.slow
def test_a_cluster_of_its_own_leaves_nothing(tiny_model: Path, tmp_path: Path) -> None:
    places = np.random.default_rng(0).uniform((-90, -180), (90, 180), (50, 2))
    table = pa.table({"name": [f"p{i}" for i in range(50)], "lat": places[:, 0], "lon": places[:, 1]})
    pq.write_table(table, tmp_path / "places.parquet", row_group_size=20)
    given = ["embed", "places", tmp_path / "places.parquet", "--model", tiny_model, *EXACT]
    environment = os.environ | {"TMPDIR": tempfile.mkdtemp(prefix="ec-")}
    environment.pop("RAY_ADDRESS", None)
    command = [sys.executable, "-m", "earthclip", "cluster", *given, "-o", "features", "--block-size", "16"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=tmp_path, env=environment)
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout, len(lines)) == (0, "", 2), done.stderr
    assert lines[0] == "model: tiny" and lines[1].startswith(f"{tmp_path}/features: 50 answered, 0 failed, ")
    assert list(Path(environment["TMPDIR"]).glob("earthclip-*")) == []
    shutil.rmtree(environment["TMPDIR"])
    assert run(*given, "-o", tmp_path / "local.parquet") == 0
    local, found = pq.read_table(tmp_path / "local.parquet"), pa.Table.from_pylist(answers(tmp_path / "features"))
    assert found.schema.names == [*local.schema.names, "error"] and found.column("error").null_count == 50
    assert found.select(["name", "lat", "lon"]).equals(local.select(["name", "lat", "lon"]))
    names = [f"feature_{i:03}" for i in range(WIDTH)]
    np.testing.assert_allclose(
        np.stack(found.select(names).columns, 1), np.stack(local.select(names).columns, 1), atol=1e-6
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["locate", "s3://bucket/*.jpg"], "s3://bucket/*.jpg: earthclip reads and writes files of this machine here"),
        (["locate", "a.jpg", "-o", "s3://bucket/a.csv"], "s3://bucket/a.csv: earthclip reads and writes files"),
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

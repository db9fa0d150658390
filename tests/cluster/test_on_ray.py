"""Two workers on a Ray cluster, of which one is killed: the answers of one machine, and the same files."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earthclip.cluster import workers
from earthclip.cluster.run import answer_on_cluster
from earthclip.cluster.workers import BlockWorker
from earthclip.errors import EarthCLIPError
from earthclip.locating.locator import load
from tests.cluster.on_ray import EXACT, SLOW, Killer, answers, run
from tests.tiny import write_picture

pytestmark = SLOW


@dataclass(frozen=True)
class DeadlyJob:
    """Of ``DeadlyWorker``; ``folder`` gets a file for each time that it began block 1."""

    folder: Path
    processors: int = 1


class DeadlyWorker(BlockWorker):
    """Ends its process at block 1, as one does that needs too much memory."""

    def __init__(self, job: DeadlyJob, attempts: object = None) -> None:
        workers._MOST_LOST = 2
        self.folder = job.folder
        super().__init__(job.processors, attempts)

    def make(self, block: int, pieces: object) -> tuple[int, list[str]]:
        if block == 1:
            (self.folder / f"{os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 1, []


def test_a_block_that_ends_its_workers_ends_the_run(model: Path, tmp_path: Path) -> None:
    blocks = [pa.table({"block": pa.array([number], pa.int32())}) for number in range(2)]
    with pytest.raises(EarthCLIPError, match=r"^2 workers died while processing block 1, most likely because memory"):
        list(answer_on_cluster(DeadlyWorker, DeadlyJob(tmp_path), blocks, 1, 1))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_killed_worker_loses_nothing(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
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
    assert "holds a run with top_k 3, but this run has 5" in capsys.readouterr().err
    assert run(*asked, "--resume") == 0
    assert "places: all 101 were answered by an earlier run; nothing is left to do" in capsys.readouterr().err


def test_embeddings_of_a_table_of_pictures(model: Path, tmp_path: Path) -> None:
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
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_picture(Path("a.png"), seed=1)
    given = ["cluster", "locate", "a.png", "--model", model, *EXACT, "-o", "places"]
    assert run(*given, "--top-k", 0) == 2
    assert "--top-k is 0" in capsys.readouterr().err and not Path("places").exists()
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
    assert f"holds a run with folder {tmp_path}, but this run has {tmp_path}/elsewhere" in capsys.readouterr().err


def test_places_are_the_same_files_whatever_was_killed(model: Path, tmp_path: Path) -> None:
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
    header = tmp_path / "quiet" / "_earthclip" / "run.json"
    asked = json.loads(header.read_text())
    assert asked["location_encoder"] == "location_encoder.onnx, run by onnxruntime in float32"
    header.write_text(json.dumps(asked | {"location_encoder": "location_encoder.onnx, run by openvino in bfloat16"}))
    assert run(*given, *how, "-o", tmp_path / "quiet", "--resume") == 2
    del asked["location_encoder"]  # as runs of earlier versions
    header.write_text(json.dumps(asked))
    assert run(*given, *how, "-o", tmp_path / "quiet", "--resume") == 0


def test_embeddings_of_a_folder_of_what_locate_wrote(model: Path, tmp_path: Path) -> None:
    files = [write_picture(tmp_path / f"{i}.png", seed=i) for i in range(3)]
    given = [*files, tmp_path / "gone.png", "--model", model, *EXACT, "--workers", 1]
    assert run("cluster", "locate", *given, "--block-size", 2, "-o", tmp_path / "places") == 1
    given = [tmp_path / "places", "--model", model, *EXACT, "--workers", 1]
    assert run("cluster", "embed", "places", *given, "-o", tmp_path / "features") == 1
    rows = answers(tmp_path / "features")
    assert [row["error"] is None for row in rows] == [True, True, True, False]
    assert "no such file" in str(rows[3]["error"]) and rows[3]["feature_000"] is None

"""Workers in this process; test_on_ray.py runs them on Ray."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earthclip.cli.answering import Ask, image_choices
from earthclip.cli.cluster_run import ClusterRun, _job
from earthclip.cluster.blocks import plan
from earthclip.cluster.run import _PREFIX, _fault, remove_left
from earthclip.cluster.storage import write_bytes
from earthclip.cluster.workers import ImageEmbeddingWorker, Job, LocateWorker, LocationEmbeddingWorker
from earthclip.errors import ModelError
from earthclip.locating.locator import load
from earthclip.locating.question import Question
from earthclip.models.sources import choose_model
from earthclip.outputs.journal import header
from earthclip.outputs.structured import to_object
from earthclip.pictures.prepare import Failure
from tests.pair import use_as_built_in, write_pair, write_shades
from tests.tiny import WIDTH, write_picture


def job_of(model: Path, output: Path, **options: Any) -> Job:
    (output / "_earthclip").mkdir(parents=True, exist_ok=True)
    fingerprint = str(header([load(model).config], {})["fingerprint"])
    return Job(str(model), str(output), fingerprint, runtime="onnxruntime", **options)


def part(output: Path, number: int = 0) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(output / f"part-{number:06}.parquet").to_pylist()
    return rows


def test_places_of_files_tables_and_addresses(tiny_model: Path, tmp_path: Path) -> None:
    files = [write_picture(tmp_path / f"{i}.png", seed=i) for i in range(4)]
    data = files[1].read_bytes()
    write_bytes("memory://pictures/1.png", data)
    images = [
        {"bytes": data, "path": None},
        {"bytes": None, "path": "1.png"},
        {"bytes": data[:200], "path": None},
        None,
    ]
    pq.write_table(pa.table({"id": range(4), "image": images}), tmp_path / "t.parquet")
    inputs: list[str | Failure] = [
        "0.png",
        "memory://pictures/1.png",
        "t.parquet",
        "gone.png",
        Failure("e", "e: empty"),
    ]
    made = plan(inputs, 100, str(tmp_path))
    worker = LocateWorker(job_of(tiny_model, tmp_path / "out", base=str(tmp_path), question=Question(top_k=3)))
    with contextlib.closing(worker):
        (done,) = worker(made).to_pylist()
    assert done["fault"] is None and (done["answered"], done["failed"]) == (4, 4) and len(done["errors"]) == 4
    rows = part(tmp_path / "out")
    assert [(row["path"], row["row"]) for row in rows] == [
        ("0.png", None),
        ("memory://pictures/1.png", None),
        *(("t.parquet", i) for i in range(4)),
        ("gone.png", None),
        ("e", None),
    ]
    for row, picture in zip(rows[:4], [files[0], files[1], files[1], files[1]], strict=True):
        (answer,) = load(tiny_model, runtime="onnxruntime").locate([picture], top_k=3)
        expected = to_object(answer)
        found = [{name: place[name] for name in ("latitude", "longitude")} for place in row["candidates"]]
        wanted = [{name: place[name] for name in ("latitude", "longitude")} for place in expected["predictions"]]
        assert found == wanted and row["mass"] == pytest.approx(expected["verdict"]["mass"], rel=1e-4)
        assert (row["latitude"], row["error"]) == (wanted[0]["latitude"], None)
    errors = [str(row["error"]) for row in rows[4:]]
    assert "t.parquet, row 2" in errors[0] and "damaged or cut short" in errors[0] and "earthclip-" not in errors[0]
    assert "no picture and no path in the row" in errors[1]
    assert "no such file" in errors[2] and errors[3] == "e: empty"


def test_embeddings_of_pictures(tiny_model: Path, tmp_path: Path) -> None:
    files = [str(write_picture(tmp_path / f"{i}.png", seed=i)) for i in range(3)]
    made = plan([*files[:2], str(tmp_path / "gone.png"), files[2]], 100)
    with contextlib.closing(ImageEmbeddingWorker(job_of(tiny_model, tmp_path / "out", batch_size=2))) as worker:
        (done,) = worker(made).to_pylist()
    assert (done["answered"], done["failed"], done["fault"]) == (3, 1, None)
    table = pq.read_table(tmp_path / "out" / "part-000000.parquet")
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), WIDTH)
    found = table.column("embedding").to_pylist()
    assert found[2] is None and "no such file" in table.column("error").to_pylist()[2]
    expected = load(tiny_model, runtime="onnxruntime").encode_image(files)
    np.testing.assert_allclose([found[0], found[1], found[3]], expected, atol=1e-6)


def test_embeddings_of_coordinates_keep_columns_and_tell_of_rows(tiny_model: Path, tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"id": ["a", "b", "c", "d"], "lat": [10.0, 95.0, None, -33.0], "lon": [359.0, 0.0, 1.0, 151.0]}),
        tmp_path / "t.parquet",
    )
    worker = LocationEmbeddingWorker(job_of(tiny_model, tmp_path / "out", base=str(tmp_path)))
    (done,) = worker(plan(["t.parquet"], 100, str(tmp_path))).to_pylist()
    assert (done["answered"], done["failed"], done["fault"]) == (2, 2, None)
    rows = part(tmp_path / "out")
    assert [row["id"] for row in rows] == list("abcd") and rows[1]["lat"] == 95.0
    assert "latitudes must lie in" in str(rows[1]["error"]) and rows[2]["feature_000"] is None
    expected = load(tiny_model, runtime="onnxruntime").encode_location([[10, -1], [-33, 151]])
    found = [[row[f"feature_{i:03}"] for i in range(WIDTH)] for row in (rows[0], rows[3])]
    np.testing.assert_allclose(np.array(found, np.float64), expected, atol=1e-6)


def test_a_worker_hands_back_what_it_cannot_go_on_from(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(tiny_model, tmp_path / "out")
    made = plan([str(write_picture(tmp_path / "0.png"))], 1)
    wrong = Job(job.source, job.output, "0" * 16)
    assert "not the model that the run was started with" in LocateWorker(wrong)(made).to_pylist()[0]["fault"]
    assert isinstance(_fault("ModelError: x: gone"), ModelError) and str(_fault("OSError: full")) == "full"
    left = tmp_path / f"{_PREFIX}999999999-x"
    left.mkdir()
    mine = tmp_path / f"{_PREFIX}{os.getpid()}-x"
    mine.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    remove_left(_PREFIX)
    assert mine.exists() and not left.exists()
    missing = Job(str(tmp_path / "nope"), job.output, job.fingerprint)
    assert LocateWorker(missing)(made).to_pylist()[0]["fault"].startswith("ModelError: ")
    other = Job(job.source, job.output, job.fingerprint, "e.onnx, run by openvino in bfloat16", runtime="onnxruntime")
    fault = LocateWorker(other)(made).to_pylist()[0]["fault"]
    assert "run by onnxruntime in float32; the run was started with e.onnx, run by openvino in bfloat16; give " in fault
    fault = LocationEmbeddingWorker(replace(other, encoder="l.onnx, run by openvino in bfloat16"))(made).to_pylist()[0]
    assert "location_encoder.onnx, run by onnxruntime in float32; the run was started with l.onnx, " in fault["fault"]
    assert not (tmp_path / "out" / "part-000000.parquet").exists()


def test_a_worker_runs_what_the_run_was_started_with(tiny_model: Path, tmp_path: Path) -> None:
    encoder = "image_encoder.onnx, run by openvino in float32"  # here ONNX Runtime would be chosen
    worker = LocateWorker(job_of(tiny_model, tmp_path, encoder=encoder))
    with contextlib.closing(worker):
        assert str(worker.locator.image_choice) == encoder


def test_what_an_earlier_command_said_of_a_row_stays(tiny_model: Path, tmp_path: Path) -> None:
    table = pa.table({"lat": [1.0, None, None], "lon": [1.0, None, 2.0], "error": [None, "x.jpg: gone", None]})
    pq.write_table(table, tmp_path / "t.parquet")
    worker = LocationEmbeddingWorker(job_of(tiny_model, tmp_path / "out", base=str(tmp_path)))
    (done,) = worker(plan(["t.parquet"], 100, str(tmp_path))).to_pylist()
    assert (done["answered"], done["failed"], done["fault"]) == (1, 2, None)
    first, second, third = (row["error"] for row in part(tmp_path / "out"))
    assert (first, second) == (None, "x.jpg: gone") and "latitude" in third
    for name, values in (("feature_000", [1.0]), ("error", [7])):
        pq.write_table(pa.table({"lat": [1.0], "lon": [1.0], name: values}), tmp_path / "taken.parquet")
        (done,) = worker(plan(["taken.parquet"], 100, str(tmp_path))).to_pylist()
        assert f"has a column called {name}" in done["fault"]


def test_each_picture_is_answered_by_the_model_whose_kind_it_is(
    tmp_path: Path, earthclip_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pair(tmp_path / "orbit", earthclip_home)
    use_as_built_in(tmp_path / "orbit", monkeypatch)
    files = write_shades(tmp_path / "pictures", 200, 0, 30, 255)
    ask = Ask(choose_model(), "onnxruntime", "float32", Question(top_k=2))
    run = ClusterRun(str(tmp_path / "out"), False, False, None, None, None)
    encoder = image_choices(load(ask.model, runtime="onnxruntime", precision="float32").models)
    job = _job(ask, run, encoder=encoder, question=ask.question)
    assert job.first == "orbit" and encoder.count("image_encoder.onnx") == 2
    (tmp_path / "out" / "_earthclip").mkdir(parents=True)
    worker = LocateWorker(job)
    with contextlib.closing(worker):
        (done,) = worker(plan(map(str, files), 100, str(tmp_path))).to_pylist()
    assert (done["fault"], done["answered"]) == (None, 4)
    rows = part(tmp_path / "out")
    assert [row["model"] for row in rows] == ["orbit", "geoclip", "geoclip", "orbit"]
    assert [row["scope"] is None for row in rows] == [False, True, True, False]
    with pytest.raises(ModelError, match="not the model that the run was started with"):
        LocateWorker(replace(job, first=None)).open()

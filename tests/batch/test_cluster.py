"""Blocks, storage and workers of a cluster, in this process; tests/cli/test_engine.py runs them on Ray."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.batch.cluster.blocks import blocks_of, plan, rows_of
from earthclip.batch.cluster.output import OutputFolder
from earthclip.batch.cluster.pictures import PREFIX, find_column
from earthclip.batch.cluster.run import _fault
from earthclip.batch.cluster.storage import (
    below,
    find,
    folder_of,
    is_address,
    open_storage,
    read_bytes,
    remove_left,
    write_bytes,
)
from earthclip.batch.cluster.workers import ImageEmbeddingWorker, Job, LocateWorker, LocationEmbeddingWorker
from earthclip.batch.journal import header
from earthclip.cli.locate import locate
from earthclip.errors import EarthCLIPError, InputError, ModelError, OutputError
from earthclip.locator import load
from earthclip.outputs.structured import to_object
from earthclip.prediction import Failure
from tests.tiny import WIDTH, write_picture


def job_of(model: Path, output: Path, **options: object) -> Job:
    (output / "_earthclip").mkdir(parents=True, exist_ok=True)
    fingerprint = str(header(load(model).config, {})["fingerprint"])
    return Job(str(model), str(output), fingerprint, runtime="onnxruntime", **options)  # type: ignore[arg-type]


def part(output: Path, number: int = 0) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(output / f"part-{number:06}.parquet").to_pylist()
    return rows


@settings(deadline=None)  # the first example imports
@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(1, 17), st.sets(st.integers(0, 9)))
def test_blocks_hold_every_row_once(counts: list[int], size: int, done: set[int]) -> None:
    made = plan([Failure(f"{i}", "gone") for i in range(sum(counts))], size)
    blocks = list(blocks_of(made, done))
    assert all(block.column("block").unique().to_pylist() not in ([n] for n in done) for block in blocks)
    rows = [path for block in blocks_of(made, set()) for path in block.column("path").to_pylist()]
    assert rows == [str(i) for i in range(sum(counts))]
    assert max(len(block) for block in blocks_of(made, set())) <= size


def test_blocks_of_tables_cross_row_groups_and_files(tmp_path: Path) -> None:
    for name, rows in (("a", 25), ("b", 10)):
        pq.write_table(pa.table({"x": range(rows)}), tmp_path / f"{name}.parquet", row_group_size=10)
    made = plan(["a.parquet", "picture.jpg", "b.parquet"], 8, str(tmp_path))
    blocks = list(blocks_of(made, set()))
    assert [sum(block.column("rows").to_pylist()) for block in blocks] == [8, 8, 8, 8, 4]
    found = [
        value
        for piece in made.to_pylist()
        if piece["group"] is not None
        for value in rows_of(str(tmp_path / piece["path"]), piece["group"], piece["skip"], piece["rows"])[
            "x"
        ].to_pylist()
    ]
    assert found == [*range(25), *range(10)]
    assert [piece["row"] for piece in made.to_pylist() if piece["path"] == "b.parquet"] == [0, 6]
    with pytest.raises(InputError, match="no picture and no row"):
        plan([], 8)
    (tmp_path / "bad.parquet").write_text("not Parquet")
    for name, says in (("bad.parquet", "not readable as Parquet"), ("none.parquet", "no such table")):
        with pytest.raises(InputError, match=says):
            plan([name], 8, str(tmp_path))


def test_storage_at_an_address() -> None:
    for name in ("b/2.jpg", "b/1.JPG", "b/deep/3.jpg", "b/notes.txt", "b/x y.png"):
        write_bytes(f"memory://bucket/{name}", name.encode())
    root = "memory://bucket/b"

    def names(address: str) -> list[str]:
        return [item.path or "" if isinstance(item, Failure) else item for item in find(address, (".jpg", ".png"))]

    assert names(root) == [f"{root}/{name}" for name in ("1.JPG", "2.jpg", "deep/3.jpg", "x y.png")]
    assert names(f"{root}/*.jpg") == [f"{root}/2.jpg"]
    assert names(f"{root}/**/*.jpg") == [f"{root}/2.jpg", f"{root}/deep/3.jpg"]
    assert names(f"{root}/[0-1].???") == [f"{root}/1.JPG"]
    assert names(f"{root}/x y.png") == [f"{root}/x y.png"]
    (missing,) = find(f"{root}/*.gif", ())
    assert isinstance(missing, Failure) and "nothing found there" in missing.error
    assert [read_bytes(name) for name in names(root)][3] == b"b/x y.png"
    with pytest.raises(InputError, match="no such file"):
        read_bytes(f"{root}/none.jpg")
    with pytest.raises(InputError, match="more than 3 bytes"):
        read_bytes(f"{root}/2.jpg", most=3)
    with pytest.raises(InputError, match="not a whole address"):
        read_bytes("s3://bucket/a.jpg?speed=9")
    with pytest.raises(InputError, match="no known kind"):
        open_storage("nosuch://bucket/x")
    assert not is_address("file:///tmp/x") and not is_address("C:\\photos") and is_address("s3://b/k")


def test_a_read_that_fails_once_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Flaky:
        left = 2

        def open_input_stream(self, path: str) -> object:
            self.left -= 1
            if self.left >= 0:
                raise OSError("connection reset")
            return open(path, "rb")  # noqa: PTH123

    flaky = Flaky()
    monkeypatch.setattr("earthclip.batch.cluster.storage.open_storage", lambda where: (flaky, where))
    monkeypatch.setattr("earthclip.batch.cluster.storage._FIRST_PAUSE_S", 0.0)
    (tmp_path / "x").write_bytes(b"data")
    assert read_bytes(str(tmp_path / "x")) == b"data"
    flaky.left = 100
    with pytest.raises(InputError, match=r"connection reset\); tried 4 times"):
        read_bytes(str(tmp_path / "x"))


@pytest.mark.parametrize(
    ("columns", "asked", "found"),
    [
        ({"path": pa.string(), "image": pa.binary()}, None, "image"),
        ({"id": pa.int64(), "url": pa.large_string()}, None, "url"),
        ({"image": pa.struct([("bytes", pa.binary()), ("path", pa.string())])}, None, "image"),
        ({"image": pa.int64(), "x": pa.binary()}, "x", "x"),
        ({"image": pa.int64()}, None, None),
        ({"image": pa.binary()}, "img", None),
    ],
)
def test_the_column_of_pictures(columns: dict[str, pa.DataType], asked: str | None, found: str | None) -> None:
    schema = pa.schema(list(columns.items()))
    if found:
        assert find_column(schema, asked, "t.parquet") == found
    else:
        with pytest.raises(InputError, match=r"t\.parquet: "):
            find_column(schema, asked, "t.parquet")


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
        ("/data", "y.jpg", "/data/y.jpg"),
        ("file:///data", "/abs/y.jpg", "/abs/y.jpg"),
    ],
)
def test_names_below_an_address_come_before_its_query(base: str, path: str, joined: str) -> None:
    assert below(base, path) == joined


def test_the_folder_of_a_table_is_reached_as_the_table_is() -> None:
    assert folder_of("s3://b/t/p.parquet?endpoint_override=h:9/x") == "s3://b/t?endpoint_override=h:9/x"
    assert folder_of("/data/p.parquet") == "/data"


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
    worker = LocateWorker(job_of(tiny_model, tmp_path / "out", base=str(tmp_path), terms={"top_k": 3}))
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
        (answer,) = load(tiny_model, runtime="onnxruntime").locate([picture], 3)
        expected = to_object(answer)
        found = [{name: place[name] for name in ("latitude", "longitude")} for place in row["candidates"]]  # type: ignore[attr-defined]
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
    assert "another model than where the run was started" in LocateWorker(wrong)(made).to_pylist()[0]["fault"]
    assert isinstance(_fault("ModelError: x: gone"), ModelError) and str(_fault("OSError: full")) == "full"
    left = tmp_path / f"{PREFIX}999999999-x"
    left.mkdir()
    mine = tmp_path / f"{PREFIX}{os.getpid()}-x"
    mine.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    remove_left(PREFIX)
    assert mine.exists() and not left.exists()
    missing = Job(str(tmp_path / "nope"), job.output, job.fingerprint)
    assert LocateWorker(missing)(made).to_pylist()[0]["fault"].startswith("ModelError: ")
    # As if five workers had been killed in it.
    assert [OutputFolder(job.output).begin_block(0) for _ in range(5)] == [0, 1, 2, 3, 4]
    with contextlib.closing(LocateWorker(job)) as worker:
        assert "block 0 ended 5 workers" in worker(made).to_pylist()[0]["fault"]
    assert not (tmp_path / "out" / "part-000000.parquet").exists()


@pytest.mark.parametrize("where", ["folder", "memory://answers/run"])
def test_the_output_is_begun_resumed_and_replaced(tmp_path: Path, where: str) -> None:
    output = OutputFolder(where if is_address(where) else str(tmp_path / where))
    made = plan([Failure(str(i), "gone") for i in range(5)], 2)
    asked = {"model": "tiny", "top_k": 5}
    assert output.begin(asked, lambda: made, resume=True, force=False).equals(made)  # nothing to resume: it starts
    output.begin_block(1)
    output.write_block(1, made)
    with pytest.raises(OutputError, match="--resume goes on, --force starts anew"):
        output.begin(asked, lambda: made, resume=False, force=False)
    with pytest.raises(OutputError, match="of a run with top_k 5, found 3"):
        output.begin(asked | {"top_k": 3}, lambda: made, resume=True, force=False)
    assert output.begin(asked, lambda: pytest.fail("planned again"), resume=True, force=False).equals(made)
    assert output.done() == {1}
    output.finish()
    with pytest.raises(OutputError, match="choose another, or --force"):
        output.begin(asked, lambda: made, resume=False, force=False)
    output.begin(asked | {"top_k": 3}, lambda: made, resume=False, force=True)
    assert output.done() == set() and json.loads(read_bytes(f"{output.where}/_earthclip/run.json"))["top_k"] == 3
    with pytest.raises(EarthCLIPError):
        read_bytes(f"{output.where}/_SUCCESS")


def test_the_manifest_for_kubernetes() -> None:
    """Against the fields of KubeRay's API (apis/ray/v1/*_types.go) and our own options."""
    text = (Path(__file__).parents[2] / "deploy" / "kuberay.yaml").read_text()
    job = yaml.safe_load(text)
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert set(job["spec"]) <= {
        *("entrypoint", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "rayClusterSpec"),
    }
    cluster = job["spec"]["rayClusterSpec"]
    assert set(cluster) <= {
        *("rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions", "headGroupSpec"),
        "workerGroupSpecs",
    }
    (workers,) = cluster["workerGroupSpecs"]
    assert set(cluster["headGroupSpec"]) == {"rayStartParams", "template"}
    assert set(workers) == {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
    for group in (cluster["headGroupSpec"], workers):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        (container,) = group["template"]["spec"]["containers"]
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]
        assert all(isinstance(variable["value"], str) for variable in container["env"])
        assert container["resources"]["requests"] == container["resources"]["limits"]
    shell, option, script = shlex.split(job["spec"]["entrypoint"])
    assert (shell, option) == ("bash", "-c")
    command = shlex.split(script.partition("||")[0])
    assert command[:2] == ["earthclip", "locate"]
    given = locate.make_context("locate", command[2:]).params
    assert (given["engine"], given["resume"], given["workers"]) == ("ray", True, workers["maxReplicas"])
    assert str(given["worker_cpus"]) == workers["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"]

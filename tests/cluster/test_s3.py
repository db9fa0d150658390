"""Pictures in a bucket located into another, on a server that imitates S3."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earthclip.cluster.storage import find, open_storage, read_bytes, write_bytes
from earthclip.pictures.kinds import PassedOver
from tests.tiny import write_picture

pytestmark = pytest.mark.slow


@pytest.fixture
def query(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What follows the ? of addresses on the server."""
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"?endpoint_override={host}:{port}&scheme=http&allow_bucket_creation=true"
    server.stop()


def test_a_bucket_of_photos_becomes_a_folder_of_parquet(query: str, tiny_model: Path, tmp_path: Path) -> None:
    for bucket in ("photos", "answers"):
        system, path = open_storage(f"s3://{bucket}{query}")
        system.create_dir(path)
    data = [write_picture(tmp_path / f"{i}.png", seed=i).read_bytes() for i in range(5)]
    for i, content in enumerate(data):
        write_bytes(f"s3://photos/2024/{i % 2}/{i}.png{query}", content)
    write_bytes(f"s3://photos/2024/0/notes.txt{query}", b"")
    table = pa.table({"image": [data[0], data[1][:200]]})
    pq.write_table(table, tmp_path / "t.parquet")
    write_bytes(f"s3://photos/t.parquet{query}", (tmp_path / "t.parquet").read_bytes())
    passed_over = PassedOver()
    names = list(find(f"s3://photos/2024/{query}", (".png",), passed_over))
    assert names == [f"s3://photos/2024/{name}.png{query}" for name in ("0/0", "0/2", "0/4", "1/1", "1/3")]
    assert passed_over.others == 1
    assert list(find(f"s3://photos/*/1/*.png{query}", (), passed_over)) == names[3:]

    output = f"s3://answers/places{query}"
    given = [f"s3://photos/2024/{query}", f"s3://photos/t.parquet{query}", f"s3://photos/gone.png{query}"]
    how = ["--model", str(tiny_model), "--runtime", "onnxruntime", "--block-size", "3", "--workers", "1"]
    command = [sys.executable, "-m", "earthclip", "cluster", "locate", *given, *how, "-o", output]
    environment = os.environ | {"TMPDIR": tempfile.mkdtemp(prefix="ec-")}
    environment.pop("RAY_ADDRESS", None)

    def run(*more: str) -> tuple[int, str]:
        done = subprocess.run([*command, *more], capture_output=True, text=True, env=environment)
        return done.returncode, done.stderr

    def rows() -> list[dict[str, object]]:
        parts = sorted(name for name in find(f"s3://answers/places/part-*{query}", (), passed_over))
        assert len(parts) == 3
        return [row for part in parts for row in pq.read_table(pa.BufferReader(read_bytes(str(part)))).to_pylist()]

    code, said = run()
    assert code == 1 and "6 answered, 2 failed" in said, said
    found = rows()
    assert [(row["path"], row["row"]) for row in found] == [
        *((name, None) for name in names),
        *((given[1], row) for row in (0, 1)),
        (given[2], None),
    ]
    assert [row["error"] is None for row in found] == [*[True] * 6, False, False]
    assert "damaged or cut short" in str(found[6]["error"]) and "nothing found" in str(found[7]["error"])
    assert found[5]["candidates"] == found[0]["candidates"]
    assert json.loads(read_bytes(f"s3://answers/places/_earthclip/run.json{query}"))["task"] == "locate"

    code, said = run()
    assert code == 2 and "already holds the output of a run" in said
    for name in ("part-000001.parquet", "_SUCCESS"):
        system, path = open_storage(f"s3://answers/places/{name}{query}")
        system.delete_file(path)
    code, said = run("--resume")
    assert code == 0 and "3 answered, 0 failed, 5 before by the interrupted run" in said, said
    assert rows() == found and read_bytes(f"s3://answers/places/_SUCCESS{query}") == b""
    shutil.rmtree(environment["TMPDIR"])

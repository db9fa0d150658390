"""Output folders that 0.1.0 left on a cluster: gone on with, or refused in one line, and never overwritten."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from earthclip.cli import main
from tests.compatibility.reading import check_close, fields_of_table, lost

pytestmark = [
    pytest.mark.slow,
    # Ray's own: it reads its settings by names that it has replaced.
    pytest.mark.filterwarnings("ignore:`use_:DeprecationWarning:ray.data.context"),
]
RUNS = {
    "locate": ["cluster", "locate", "pictures", "--block-size", "4", "--precision", "float32"],
    "embed": ["cluster", "embed", "places", "places.parquet", "--block-size", "8"],
}
BLOCKS = 5


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Ray cluster in this process."""
    from earthclip.cluster.run import import_ray

    folder = tempfile.mkdtemp(prefix="earthclip-test-")  # a short path, for Ray's sockets
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EARTHCLIP_HOME", str(tmp_path_factory.mktemp("home")))
        environment.setenv("RAY_AUTH_TOKEN", "t" * 64)  # or Ray keeps one in the user's home
        ray = import_ray()
        quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "object_store_memory": 100_000_000}
        ray.init("local", num_cpus=1, _temp_dir=folder, **quiet)
        yield
        ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=RUNS)
def name(request: pytest.FixtureRequest, old: Path) -> str:
    """A run whose folders say that the working folder is that of this test."""
    for header in old.glob("cluster/*/_earthclip/run.json"):
        header.write_text(header.read_text().replace('"WORKING FOLDER"', json.dumps(str(old))))
    return str(request.param)


def run(name: str, output: str, *more: str) -> int:
    how = ["--model", "models/tiny", "--runtime", "onnxruntime", "--workers", "1"]
    return main([*RUNS[name], *how, "-o", output, *more])


def files(folder: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def rows(folder: str) -> list[dict[str, Any]]:
    found = [row for part in Path(folder).glob("*.parquet") for row in pq.read_table(part).to_pylist()]
    return sorted(found, key=lambda row: row.get("path") or row["name"])


def check_refused(said: str, folder: str, before: dict[str, bytes]) -> None:
    """One line that names the folder, in which nothing has changed."""
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert folder in line
    assert files(folder) == before


def test_a_killed_run_is_gone_on_with_or_refused(cluster: None, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder, whole = f"cluster/{name}-killed", f"cluster/{name}-finished"
    before = files(folder)
    parts = [path for path in before if path.endswith(".parquet") and "_earthclip" not in path]
    assert 0 < len(parts) < BLOCKS
    code = run(name, folder, "--resume")
    if code == 2:
        check_refused(capsys.readouterr().err, folder, before)
        return
    assert code in (0, 1)  # of the picture that cannot be read, the run before may have told
    after = files(folder)
    assert {path: after[path] for path in parts} == {path: before[path] for path in parts}
    assert f"{folder}/_SUCCESS" in after
    columns = fields_of_table(pq.read_schema(parts[0]))
    for part in Path(folder).glob("*.parquet"):
        assert lost(columns, fields_of_table(pq.read_schema(part))) == {}
    names = ["path", "latitude", "longitude", "probability", "error"] if name == "locate" else list(rows(whole)[0])
    for row, expected in zip(rows(folder), rows(whole), strict=True):
        check_close(row, {column: expected[column] for column in names})


@pytest.mark.parametrize("state", ["killed", "finished"])
def test_it_is_never_overwritten(name: str, state: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = f"cluster/{name}-{state}"
    before = files(folder)
    assert run(name, folder) == 2
    check_refused(capsys.readouterr().err, folder, before)
    assert run(name, folder, "--model", "models/full", "--resume") == 2
    check_refused(capsys.readouterr().err, folder, before)


def test_a_finished_run_stays_as_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = f"cluster/{name}-finished"
    before = files(folder)
    if run(name, folder, "--resume") == 2:
        check_refused(capsys.readouterr().err, folder, before)
    else:
        assert files(folder) == before

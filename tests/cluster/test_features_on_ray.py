"""Features made on a Ray cluster, one worker of which is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from earthclip.cli.cluster_features import ExtractionJob, extract_on_cluster
from earthclip.datasets.feature_store import open_features
from earthclip.datasets.opening import open_photos
from tests.cluster.on_ray import SLOW, ray_workers, run
from tests.nn.tiny_clip import write_clip
from tests.tiny import write_picture

pytestmark = SLOW


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


def test_features_are_those_of_one_machine_whatever_was_killed(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    how = ["features", photos / "table.csv", "--backbone", photos / "clip", "--views", 2]
    assert run(*how, "--workers", 1, "-o", tmp_path / "here") == 1
    job = ExtractionJob(
        open_photos(str(photos / "table.csv")), photos / "clip", str(tmp_path / "there"), 2, 0, shard_rows=4
    )
    deaths = threading.Event()

    def kill() -> None:
        while not deaths.is_set():
            made = len(list((tmp_path / "there").glob("features-*.json")))
            if made >= 2 and (found := ray_workers(os.getpid(), b"FeatureWorker")):
                os.kill(found[0], signal.SIGKILL)
                deaths.set()
            time.sleep(0.005)

    threading.Thread(target=kill, daemon=True).start()
    extract_on_cluster(job, resume=False, workers=2, processors=1)
    assert deaths.is_set()
    here, there = open_features(tmp_path / "here"), open_features(tmp_path / "there")
    assert (len(there), there.about.shards) == (39, 10)
    rows = np.arange(39)
    assert here.ids == there.ids and here.failed == there.failed and list(here.failed) == [3]
    for view in (0, 1):
        np.testing.assert_allclose(here.rows(rows, rows * 0 + view), there.rows(rows, rows * 0 + view), atol=0.02)
    assert not (tmp_path / "there" / "_earthclip").exists()
    assert run("cluster", *how, "-o", tmp_path / "there") == 2
    assert "already holds features; add --resume to continue" in capsys.readouterr().err

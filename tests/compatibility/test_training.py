"""Features and runs of 0.1.0: the store has its rows, the runs go on to the figures they would have come to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from earthclip.cli import main
from earthclip.datasets.feature_store import open_features
from earthclip.errors import InputError
from tests.compatibility.reading import read_csv


def test_a_store_of_features(old: Path) -> None:
    store = open_features(Path("features"))
    assert store.ids == [f"{i:02}.jpg" for i in range(20) if i != 7]
    assert list(store.failed) == [7] and "cut short" in store.failed[7]
    assert (store.views, store.width, store.fingerprint) == (2, 24, "a119ff8d1fecd967")
    places = {row["IMG_ID"]: (row["LAT"], row["LON"]) for row in read_csv(Path("pictures.csv"))}
    np.testing.assert_array_equal(store.coordinates, [places[name] for name in store.ids])
    shards = np.concatenate([np.load(f"features/features-0000{shard}.npy") for shard in range(3)])
    for view in range(2):
        rows = store.rows(np.arange(19), np.full(19, view))
        np.testing.assert_array_equal(rows, np.delete(shards, 7, axis=0)[:, view])


def test_a_store_that_is_not_finished(old: Path) -> None:
    Path("features/features-00001.json").unlink()
    with pytest.raises(InputError, match="1 of 3 shards"):
        open_features(Path("features"))


@pytest.mark.parametrize(
    "name",
    ["features", "photos", *(pytest.param(name, marks=pytest.mark.slow) for name in ("views", "without-sum"))],
)
def test_a_run_goes_on(old: Path, name: str) -> None:
    run = Path("training", name)
    before = read_csv(run / "progress.csv")
    assert [row["step"] for row in before] == [1, 2, 3, 4]
    assert main(["train", f"training/{name}.toml", "--out", str(run), "--resume"]) == 0
    after, expected = read_csv(run / "progress.csv"), read_csv(Path(f"training/{name}.progress.csv"))
    assert after[:4] == before
    assert [row["step"] for row in after] == list(range(1, 9))
    for column in ("loss", "learning_rate"):
        np.testing.assert_allclose([row[column] for row in after], [row[column] for row in expected], rtol=1e-3)
    figures, expected = read_csv(run / "validation.csv"), read_csv(Path(f"training/{name}.validation.csv"))
    assert [row["step"] for row in figures] == [4, 8]
    assert figures[-1]["median_km"] == pytest.approx(expected[-1]["median_km"], rel=1e-2)


def test_a_damaged_checkpoint_costs_what_is_after_the_one_before(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newest = Path("training/features/checkpoint.safetensors")
    newest.write_bytes(newest.read_bytes()[:-100])
    assert main(["train", "training/features.toml", "--out", "training/features", "--resume"]) == 0
    assert "of step 2" in capsys.readouterr().out
    after = read_csv(Path("training/features/progress.csv"))
    expected = read_csv(Path("training/features.progress.csv"))
    np.testing.assert_allclose([row["loss"] for row in after], [row["loss"] for row in expected], rtol=1e-3)


def test_a_run_is_not_begun_over_another(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = Path("training/photos/checkpoint.safetensors")
    before = checkpoint.read_bytes()
    assert main(["train", "training/photos.toml", "--out", "training/photos"]) == 2
    assert "already holds a training run" in capsys.readouterr().err
    config = Path("training/photos.toml")
    config.write_text(config.read_text().replace("batch_size = 6", "batch_size = 5"))
    assert main(["train", str(config), "--out", "training/photos", "--resume"]) == 2
    assert "batch_size" in capsys.readouterr().err and checkpoint.read_bytes() == before


def test_a_run_starts_from_the_weights_of_another(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "training/features.toml", "--out", "training/features", "--resume"]) == 0
    assert main(["train", "training/next.toml", "--out", "next"]) == 0
    assert "starting from the weights of training/features\n" in capsys.readouterr().out
    after, expected = read_csv(Path("next/progress.csv")), read_csv(Path("training/next.progress.csv"))
    np.testing.assert_allclose([row["loss"] for row in after], [row["loss"] for row in expected], rtol=1e-3)

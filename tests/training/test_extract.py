"""Features against the backbone itself; the same after a kill; photos that cannot be read are told and left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from earthclip.cli import main
from earthclip.datasets.feature_store import open_features
from earthclip.datasets.opening import open_photos
from earthclip.errors import InputError, ModelError
from earthclip.nn.backbone import HubBackbone, read_preprocessing
from earthclip.pictures.prepare import prepare
from earthclip.training.extract import extract
from earthclip.training.networks import backbone_folder
from tests.nn.tiny_clip import WIDTH, write_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extract")
    write_clip(folder / "clip", with_tokenizer=False)
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    rows = ["IMG_ID,LAT,LON"]
    for i in range(10):
        path = folder / "photos" / f"{i}.png"
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)).save(path)
        rows.append(f"{i}.png,{10 + i},{20 + i}")
    (folder / "photos" / "3.png").write_bytes((folder / "photos" / "3.png").read_bytes()[:500])
    (folder / "table.csv").write_text("\n".join(rows))
    return folder


@pytest.mark.slow
def test_features_are_the_backbones_and_a_kill_changes_none(folder: Path, tmp_path: Path) -> None:
    photos = open_photos(str(folder / "table.csv"), images=folder / "photos")
    failed = extract(photos, folder / "clip", tmp_path / "whole", views=3, shard_rows=4)
    assert list(failed) == [3] and "damaged or cut short" in failed[3]
    store = open_features(tmp_path / "whole")
    assert (len(store), store.width, store.views) == (9, WIDTH, 3)
    network = HubBackbone.from_folder(folder / "clip")
    preprocessing = read_preprocessing(folder / "clip", network.image_size)
    pixels = torch.from_numpy(prepare(folder / "photos" / "5.png", preprocessing).pixels)
    with torch.no_grad():
        expected = network.image_features(pixels)[0].numpy()
    found = store.rows(np.array([store.ids.index("5.png")]))[0]
    assert found @ expected / np.linalg.norm(found) / np.linalg.norm(expected) > 0.999  # bfloat16, kept in float16
    assert not np.array_equal(store.rows(np.array([0]), np.array([1])), store.rows(np.array([0]), np.array([2])))

    def stop(done: int, n: int) -> None:
        if done > 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(photos, folder / "clip", tmp_path / "parts", views=3, shard_rows=4, progress=stop)
    with pytest.raises(InputError, match="2 of 3 shards are missing"):
        open_features(tmp_path / "parts")
    extract(photos, folder / "clip", tmp_path / "parts", views=3, shard_rows=4, resume=True)
    again, rows = open_features(tmp_path / "parts"), np.arange(9)
    for view in range(3):
        np.testing.assert_array_equal(again.rows(rows, rows * 0 + view), store.rows(rows, rows * 0 + view))


@pytest.mark.slow
def test_the_command_says_what_could_not_be_read(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    how = ["features", str(folder / "table.csv"), "--images", str(folder / "photos"), "-o", str(tmp_path / "f")]
    assert main([*how, "--backbone", str(folder / "clip"), "--workers", "1"]) == 1
    said = capsys.readouterr().err
    assert "features of 9 photos, 1 could not be read" in said and "warning: 3.png" in said
    assert main([*how, "--backbone", str(folder / "clip")]) == 2
    assert "already holds features; add --resume to continue" in capsys.readouterr().err
    assert main([*how, "--backbone", str(tmp_path / "none")]) == 2


def test_a_backbone_that_is_nowhere_says_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earthclip.models.sources._snapshot", lambda *_, **__: "Name or service not known")
    with pytest.raises(ModelError) as caught:
        backbone_folder("openai/clip-vit-large-patch14")
    assert str(caught.value) == (
        "cannot download openai/clip-vit-large-patch14 from the Hugging Face Hub (Name or service not known). Go "
        "online, or set backbone (--backbone) to a folder that contains it."
    )
    with pytest.raises(ModelError, match=r"^./clip: no such folder. Give a folder with CLIP in Hugging Face's format"):
        backbone_folder("./clip")


def test_old_options_of_the_command_say_the_new_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["features", "photos/", "-o", "f", "--backbone", "clip", "--engine", "ray"]) == 2
    assert capsys.readouterr().err == "error: --engine is now 'earthclip cluster features SOURCE -o DIR'\n"

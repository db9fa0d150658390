"""config.json: what is written is what is read, and what no model can mean is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from earthclip.errors import ConfigError, ModelError
from earthclip.models.config import ModelConfig, Preprocessing, read_config, write_config

FULL = ModelConfig(
    name="orbit",
    embedding_size=256,
    logit_scale=2.66,
    preprocessing=Preprocessing(128, (0.5, 0.4, 0.3), (0.2, 0.2, 0.2), "bilinear"),
    prior="uniform over land",
    licence="MIT",
    temperature=1.3,
    caution="for pictures from above",
    provenance={"config": "recipes/orbit/configs/orbit.toml", "steps": 20000},
    accuracy={"test": {"n": 1000, "750": 0.56}},
)


def test_round_trip(tmp_path: Path) -> None:
    (tmp_path / "gallery.npy").write_bytes(b"12345")
    (tmp_path / "README.md").write_text("card")
    written = write_config(tmp_path, FULL)
    assert written.files == {"gallery.npy": 5}
    assert read_config(tmp_path) == written
    assert json.loads((tmp_path / "config.json").read_text())["format"] == 1


def test_a_model_without_images_needs_no_preprocessing(tmp_path: Path) -> None:
    config = ModelConfig("a", 8, 1.0, None, "none", "MIT")
    assert read_config_of(tmp_path, config) == config


def read_config_of(folder: Path, config: ModelConfig) -> ModelConfig:
    write_config(folder, config)
    return read_config(folder)


def edit(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    mapping = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in mapping.items() if value != "remove"}))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"format": 2}, "expected format 1, found 2; install the version of earthclip that wrote it"),
        ({"format": "remove"}, "expected format 1, found none"),
        ({"logit_scale": "remove"}, "missing key 'logit_scale'"),
        ({"logitscale": 3.0}, "unknown key 'logitscale', did you mean 'logit_scale'"),
        ({"embedding_size": "256"}, "expected int, found str '256'"),
        ({"embedding_size": 0}, "embedding_size must be at least 1"),
        ({"temperature": 0}, "temperature must be above 0"),
        ({"logit_scale": float("nan")}, "NaN is not a number"),
        ({"name": "../evil"}, "name must not be empty or have slashes"),
        ({"files": {"../../etc/passwd": 3}}, "files must map names of files in this folder"),
        ({"preprocessing": {"size": 8, "mean": [0, 0], "std": [1, 1, 1]}}, "expected an array of 3, found 2"),
    ],
)
def test_impossible_configs_are_refused(tmp_path: Path, changes: dict[str, object], expected: str) -> None:
    write_config(tmp_path, FULL)
    edit(tmp_path, **changes)
    with pytest.raises(ModelError) as caught:
        read_config(tmp_path)
    assert expected in str(caught.value) and "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"'])
def test_not_a_json_object(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config\.json"):
        read_config(tmp_path)


def test_no_config(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a model folder"):
        read_config(tmp_path)
    with pytest.raises(ConfigError):
        ModelConfig("a", 8, float("inf"), None, "none", "MIT")

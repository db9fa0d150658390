"""Each way of naming a model, and what to type when it is not one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from earthclip.errors import ModelError
from earthclip.files import home
from earthclip.models.sources import ChosenModel, choose_model, list_models, resolve


def fault(source: str) -> str:
    with pytest.raises(ModelError) as caught:
        resolve(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_paths(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(tiny_model).config.name == "tiny"
    assert resolve(str(tiny_model)).path == tiny_model
    assert resolve(f"local-dir:{tiny_model}").path == tiny_model
    monkeypatch.chdir(tiny_model.parent)
    assert resolve("tiny").path == Path("tiny")
    assert resolve("./tiny").config.name == "tiny"
    monkeypatch.setenv("HOME", str(tiny_model.parent))
    assert resolve("~/tiny").path == tiny_model
    assert resolve("local-dir:~/tiny").path == tiny_model


def test_unknown_names_list_the_known() -> None:
    assert fault("obrit").startswith("unknown model 'obrit'; did you mean 'orbit'? known: orbit, geoclip")
    assert "known: orbit, geoclip; or type the path" in fault("clip")
    assert "unknown model ''" in fault("")


def test_what_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earthclip.models.sources._snapshot", lambda *_, **__: "no network")
    assert "cannot download someone/model from the Hugging Face Hub (no network)" in fault("hf-hub:someone/model")
    assert "run earthclip model pull geoclip" in fault("geoclip")
    assert "'geoclip' is not on this machine" in fault("geoclip") and "or use orbit" in fault("geoclip")
    assert "no such model folder" in fault("someone/model")
    assert "found nothing" in fault("local-dir:nope")


def test_geoclip_answers_once_it_is_there(tiny_model: Path, earthclip_home: Path) -> None:
    assert home() == earthclip_home
    assert choose_model() == ChosenModel("orbit", "the built-in default")
    assert [model.size_bytes for model in list_models() if model.name == "geoclip"] == [None]
    shutil.copytree(tiny_model, earthclip_home / "models" / "geoclip")
    assert choose_model() == ChosenModel("geoclip", "the default once it is pulled", "orbit")
    assert resolve("geoclip").path == earthclip_home / "models" / "geoclip"
    (found,) = (model for model in list_models() if model.name == "geoclip")
    assert found.size_bytes is not None and found.size_bytes > 1000 and found.fault is None
    (earthclip_home / "models" / "geoclip" / "gallery.npy").unlink()
    (found,) = (model for model in list_models() if model.name == "geoclip")
    assert found.fault is not None and "gallery.npy" in found.fault


def test_an_installation_without_its_built_in_model_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earthclip.models.sources.resources.files", lambda _: tmp_path)
    assert "'orbit' is missing from this installation" in fault("orbit")


def test_a_name_wins_over_a_folder_of_that_name(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_model, tmp_path / "geoclip")
    monkeypatch.chdir(tmp_path)
    assert "not on this machine" in fault("geoclip")
    assert resolve("./geoclip").config.name == "tiny"


def test_home_defaults_to_the_platforms_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARTHCLIP_HOME")
    assert home().name == "earthclip"

"""earthclip.toml: where it is looked for, what it may say, and the one rule for the default model."""

from __future__ import annotations

from pathlib import Path

import pytest

import earthclip
from earthclip.cli import main
from earthclip.errors import ConfigError
from earthclip.models.defaults import Defaults, find_defaults, read_defaults
from earthclip.models.sources import ChosenModel, choose_model
from tests.tiny import write_picture, write_tiny_model


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "earthclip.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_current_folder_comes_before_the_users(here: Path, earthclip_home: Path) -> None:
    assert find_defaults() is None and read_defaults() == Defaults()
    users = write(earthclip_home / "config" / "earthclip", 'precision = "float32"\n')
    assert find_defaults() == users and read_defaults() == Defaults(precision="float32")
    write(here, 'model = "orbit"\nregion = ["Norway", "60,10,200"]\nruntime = "onnxruntime"\n')
    assert find_defaults() == Path("earthclip.toml")
    assert read_defaults() == Defaults("orbit", ("Norway", "60,10,200"), "onnxruntime")  # nothing of the user's


def test_a_byte_order_mark_is_no_fault(here: Path) -> None:
    write(here, '\ufeffmodel = "orbit"\n')
    assert read_defaults().model == "orbit"


def test_one_region_needs_no_brackets(here: Path) -> None:
    write(here, 'region = "Norway"\n')
    assert read_defaults().region == ("Norway",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('modle = "orbit"', "earthclip.toml: unknown key 'modle', did you mean 'model'?"),
        ("colour = 1", "earthclip.toml: unknown key 'colour', known keys: model, region, runtime, precision"),
        (
            'precision = "int7"',
            "earthclip.toml: precision: expected one of auto, float32, bfloat16, float16, int8, found str",
        ),
        ("model = 7", "earthclip.toml: model: expected str, found int 7"),
        ("region = [7]", "earthclip.toml: region[0]: expected str, found int 7"),
        ('model = "nope"', "earthclip.toml: model: unknown model 'nope'; known: orbit, geoclip"),
        ('model = "./nope"', "earthclip.toml: model: ./nope: no such model folder"),
        ("model =", "earthclip.toml: expected a TOML file ("),
    ],
)
def test_faults_name_the_file_and_the_key(here: Path, text: str, says: str) -> None:
    write(here, text)
    with pytest.raises(ConfigError) as caught:
        choose_model()
    assert str(caught.value).startswith(says) and "\n" not in str(caught.value)
    with pytest.raises(ConfigError):
        earthclip.load()
    assert earthclip.load("orbit").name == "orbit"  # which does not look


def test_python_and_the_command_line_choose_the_same_model(here: Path, earthclip_home: Path) -> None:
    assert choose_model() == ChosenModel("orbit", "the built-in default")
    assert earthclip.load().name == "orbit"
    write_tiny_model(earthclip_home / "models" / "geoclip", name="geoclip")
    assert choose_model() == ChosenModel("geoclip", "the default once it is pulled", "orbit")
    assert earthclip.load().name == "geoclip"
    write_tiny_model(here / "mine", name="mine")
    path = write(here, 'model = "./mine"\n')
    assert choose_model() == ChosenModel("./mine", f"set in {path.name}")
    assert earthclip.load().name == "mine"
    assert choose_model("orbit") == ChosenModel("orbit") and earthclip.load("orbit").name == "orbit"


def test_a_folder_of_its_name_is_not_passed_over(here: Path) -> None:
    (here / "earthclip.toml").mkdir()
    with pytest.raises(ConfigError, match=r"earthclip.toml: expected a file that can be read \(Is a directory\)"):
        read_defaults()


def test_a_geoclip_without_its_image_encoder_is_for_places_only(here: Path, earthclip_home: Path) -> None:
    folder = write_tiny_model(earthclip_home / "models" / "geoclip", name="geoclip")
    (folder / "image_encoder.onnx").unlink()
    assert choose_model().source == "orbit"
    assert choose_model(for_places=True).source == "geoclip"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('region = "Atlantis"', "error: earthclip.toml: region: "),
        ('model = "nope"', "error: earthclip.toml: model: unknown model 'nope'"),
        ('precision = "int8"\nmodel = "./mine"', 'error: earthclip.toml: precision = "int8": model '),
    ],
)
def test_the_command_line_names_file_and_key(
    here: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tiny_model(here / "mine")
    write_picture(here / "a.png")
    write(here, text)
    assert main(["locate", "a.png"]) == 2
    assert says in capsys.readouterr().err
    assert main(["model", "list"]) == 0

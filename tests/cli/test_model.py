"""``earthclip model list`` and ``info``, what ``pull`` does with a model that is here, and --accept-loss."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest

from earthclip.cli import main
from earthclip.cli.model_quantize import measured
from earthclip.models.config import IMAGE_ENCODER, IMAGE_ENCODER_INT8, Calibration, read_config, write_config
from earthclip.models.folder import open_folder
from tests.tiny import write_picture, write_tiny_model

MEASURED = {"pictures": "40 of m.csv", "before": {"coverage": {"0.5": 0.64}}, "after": {"coverage": {"0.5": 0.5}}}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for seed in range(8):
        write_picture(tmp_path / "photos" / f"{seed}.png", seed)
    return tmp_path / "photos"


def output(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_list_names_each_model_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, "model", "list").splitlines()
    assert lines[0].split() == ["model", "on", "this", "machine", "licence", "for"]
    assert lines[1].startswith("orbit *  built in, ")
    assert any(line.startswith("geoclip  no  ") for line in lines)
    assert "* is the default; choose another with --model or earthclip.toml" in lines
    assert all(len(line) <= 80 for line in lines)


def test_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    orbit, geoclip = json.loads(output(capsys, "model", "list", "--format", "json"))
    assert (orbit["name"], orbit["default"], orbit["built_in"], orbit["licence"]) == ("orbit", True, True, "MIT")
    assert orbit["size_bytes"] > 1e7 and Path(orbit["path"]).is_dir()
    assert (geoclip["name"], geoclip["default"], geoclip["size_bytes"]) == ("geoclip", False, None)


def test_a_damaged_model_is_listed_and_said(
    tiny_model: Path, earthclip_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_model, earthclip_home / "models" / "geoclip")
    (earthclip_home / "models" / "geoclip" / "gallery.npy").unlink()
    assert main(["model", "list", "-q"]) == 0
    said = capsys.readouterr()
    assert "damaged" in said.out
    assert said.err.startswith("warning: ") and "gallery.npy" in said.err


def test_info_of_the_built_in_model(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "model", "info", "orbit")
    lines = text.splitlines()
    assert lines[0].split() == ["name", "orbit"]
    assert all(len(line) <= 80 for line in lines)
    for expected in (
        "for           pictures of the Earth from above",
        "caution       works on satellite-like views",
        "licence       MIT",
        "files         image_encoder.onnx, 11.5 MB\n",
        "              location_phases.onnx, 25.6 kB\n",
        "input         pictures of 80 x 80 pixels\n",
        "gallery       36,911 candidate places\n",
        "embeddings    256 numbers\n",
        "calibration   temperature 1.3197, fitted on 1,800 views",
        "after: 50 % regions contain 50.1 % of the true places\n",
        "int8          none (earthclip model quantize orbit --pictures DIR)\n",
        "provenance    started_from: orbit-mottled\n",
        "views_drawn.half_width_km: 200.0, 1500.0\n",
    ):
        assert expected in text


def test_info_as_json_has_the_configuration_and_more(capsys: pytest.CaptureFixture[str]) -> None:
    about = json.loads(output(capsys, "model", "info", "orbit", "--format", "json"))
    assert about["purpose"].startswith("pictures of the Earth")
    assert about["name"] == "orbit" and about["temperature"] == 1.3197 and about["provenance"]["seed"] == 2
    assert (about["input_size"], about["gallery_size"], about["embedding_size"]) == (80, 36911, 256)
    assert about["size_bytes"] == sum(about["files"].values()) > 1e7
    assert Path(about["path"], "config.json").is_file()


def test_info_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_tiny_model(
        tmp_path / "own", name="own", temperature=0.5, calibration=Calibration({"0.5": 0.4}, MEASURED)
    )
    text = output(capsys, "model", "info", folder)
    assert "calibration   temperature 0.5, fitted on 40 of m.csv\n" in text
    assert "before: 50 % regions contain 64.0 % of the true places" in text
    assert "provenance    not recorded" in text
    assert "\nfor " not in text and "caution" not in text
    assert json.loads(output(capsys, "model", "info", folder, "--format", "json"))["purpose"] is None


def test_info_of_a_model_of_coordinates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_tiny_model(tmp_path / "places")
    (folder / IMAGE_ENCODER).unlink()
    write_config(folder, dataclasses.replace(read_config(folder), preprocessing=None))
    assert "input         coordinates only (no image encoder)\n" in output(capsys, "model", "info", folder)
    about = json.loads(output(capsys, "model", "info", folder, "--format", "json"))
    assert (about["input_size"], about["gallery_size"]) == (None, 50)


def test_info_of_a_model_that_is_not_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "info", "geoclip"]) == 2
    assert "not on this machine yet; run earthclip model pull geoclip" in capsys.readouterr().err


def test_int8_that_changes_too_much_needs_accept_loss(
    tiny_model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("quantize", "fastest"):
        monkeypatch.setattr(f"earthclip.models.{module}.LOWEST_COSINE", 1.1)
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    command = ["model", "quantize", str(model), "--pictures", str(photos)]
    assert main(command) == 2
    assert "Keep the model as it is, or add --accept-loss." in capsys.readouterr().err
    assert not (model / IMAGE_ENCODER_INT8).exists()
    assert main([*command, "--force"]) == 2
    assert capsys.readouterr().err == "error: --force is now '--accept-loss'\n"
    assert "Used only with --precision int8, since the lowest cosine is below 1.1." in output(
        capsys, *command, "--accept-loss"
    )
    assert open_folder(model).has(IMAGE_ENCODER_INT8)
    assert "int8          Quantized 1 layer to int8. On 4 test pictures: " in output(capsys, "model", "info", model)


def test_what_int8_was_measured_to_change_is_a_sentence(tiny_model: Path) -> None:
    found = {"products": 144.0, "pictures": 60.0, "mean_cosine": 0.99989, "lowest_cosine": 0.99975}
    config = dataclasses.replace(open_folder(tiny_model).config, int8=found | {"top_1_agreement": 0.9167})
    start = (
        "Quantized 144 layers to int8. On 60 test pictures: same best guess in 92 %, "
        "cosine with float32 at least 0.9997. "
    )
    assert measured(config) == (
        f"{start}Used only with --precision int8, since the best guess was not compared on 100 pictures."
    )
    for moved, use in (
        (0.01, "Used where it is the fastest and precision is auto; --precision float32 switches back."),
        (
            0.04,
            "Used only with --precision int8, since the best guess moves by more than 25 km in 4 % of 100 pictures.",
        ),
    ):
        compared = dataclasses.replace(config, int8=config.int8 | {"moved_of": 100.0, "moved": moved})
        assert measured(compared).startswith(start + use)
    assert "60 test pictures: cosine with" in measured(dataclasses.replace(config, int8=found))  # without a gallery


def test_pull_adds_int8_to_a_model_that_is_here(
    tiny_model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    before = (model / IMAGE_ENCODER).read_bytes()
    command = ["model", "pull", "geoclip", "-o", str(model), "--quantize", "int8", "--pictures", str(photos)]
    assert main(command) == 2
    assert not open_folder(model).has(IMAGE_ENCODER_INT8)
    capsys.readouterr()
    assert main([*command, "--accept-loss"]) == 0
    said = capsys.readouterr()
    assert "geoclip is already on this machine; --force rebuilds it" in said.err
    assert said.out.startswith("Quantized 1 layer to int8.")
    assert (model / IMAGE_ENCODER).read_bytes() == before
    assert open_folder(model).has(IMAGE_ENCODER_INT8)


def test_quiet_leaves_what_stdout_has(
    tiny_model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    assert main(["model", "quantize", str(model), "--pictures", str(photos), "--accept-loss", "-q"]) == 0
    said = capsys.readouterr()
    assert said.err == "" and said.out.startswith("Quantized 1 layer")


def test_speed_is_a_table_of_what_was_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earthclip.models.race._TURNS", 1)
    monkeypatch.setattr("earthclip.models.race.usable_processors", lambda: 1)
    text = output(capsys, "model", "list", "--speed")
    assert (
        "orbit, image encoder, ms a picture, on " in text and "orbit, places encoder, ms for 1,024 places, on " in text
    )
    assert re.search(
        r"^  \* (onnxruntime|openvino) \w+(, \d+ threads?)? +\d+\.\d +\d+\.\d  (1\.0|0\.99)\d+$", text, re.MULTILINE
    )
    rows = json.loads(output(capsys, "model", "list", "--speed", "--format", "json"))
    assert sum(row["used"] for row in rows) == 2 and {row["model"] for row in rows} == {"orbit"}

"""``--model auto``, the default, on the command line and in the server: order, names of models, resumed runs."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from earthclip.cli import main
from earthclip.outputs.journal import Journal
from tests.outputs.schema import check_answer
from tests.pair import AS_BUILT_IN, CAUTION, shade, use_as_built_in, write_pair, write_shades
from tests.server.running import running

MODELS = ["orbit", "geoclip", "geoclip", "orbit", "geoclip", "orbit"]


@pytest.fixture
def pictures(tmp_path: Path, earthclip_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of pictures of both kinds, with both models here."""
    write_pair(tmp_path / "orbit", earthclip_home)
    use_as_built_in(tmp_path / "orbit", monkeypatch)
    write_shades(tmp_path / "pictures", 200, 0, 30, 255, 60, 230)
    return tmp_path / "pictures"


def locate(*arguments: str | Path) -> int:
    return main(["locate", *map(str, arguments)])


def lines(text: str) -> list[str]:
    return [json.loads(line)["model"] for line in text.splitlines()]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_answers_keep_their_order_and_name_their_model(
    pictures: Path, workers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert locate(pictures, pictures, "--format", "jsonl", "--workers", workers) == 0
    told = capsys.readouterr()
    answers = [json.loads(line) for line in told.out.splitlines()]
    assert [answer["model"] for answer in answers] == MODELS * 2
    assert [Path(answer["path"]).name for answer in answers] == sorted(p.name for p in pictures.iterdir()) * 2
    how = "otherwise geoclip (auto; choose one with --model)"
    assert told.err.startswith(f"models: orbit where a picture looks like a bright picture, {how}\n")
    assert f"caution (orbit): {CAUTION}\n" in told.err


def test_the_table_names_the_model_of_each_answer(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert locate(pictures, "--top-k", "1", "-o", tmp_path / "out.txt") == 0
    text = (tmp_path / "out.txt").read_text()
    named = [line.rpartition(" ")[2] for line in text.splitlines() if ".png" in line]
    assert named == [f"({model})" for model in MODELS] and text.startswith(f"caution (orbit): {CAUTION}\n")
    capsys.readouterr()
    assert locate(pictures / "01-0.png", "--top-k", "1", "--model", "geoclip") == 0
    told = capsys.readouterr()
    assert "01-0.png\n" in told.out and told.err == "model: geoclip\n"


def test_one_model_can_be_forced(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for model in ("orbit", "geoclip"):
        assert locate(pictures, "--format", "jsonl", "--model", model) == 0
        assert lines(capsys.readouterr().out) == [model] * 6
    assert locate(pictures, "--format", "jsonl", "--model", "auto") == 0
    assert lines(capsys.readouterr().out) == MODELS
    assert locate("--text", "snow") == 2
    assert "model 'geoclip' has no words" in capsys.readouterr().err


def test_an_interrupted_run_goes_on_with_both_models_only(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*[pictures] * 4, "--workers", "0", "--format", "jsonl", "-o"]
    assert locate(*given, tmp_path / "whole") == 0
    with monkeypatch.context() as patched:  # as if it had been killed before the last step
        patched.setattr(Journal, "finish", lambda *_, **__: None)
        assert locate(*given, tmp_path / "out") == 0
    partial = tmp_path / "out.partial"
    header, *answers = partial.read_text().splitlines()
    assert json.loads(header)["model"] == "auto (orbit, geoclip)"
    assert json.loads(header)["image_encoder"].count("image_encoder.onnx, run by ") == 2
    assert len(set(json.loads(header)["fingerprint"].split(" "))) == 2 and len(answers) == 16
    capsys.readouterr()
    for model in ("orbit", "geoclip"):
        assert locate(*given, tmp_path / "out", "--resume", "--model", model) == 2
        said = f"out.partial: holds a run with model auto (orbit, geoclip), but this run has {model}; use the same"
        assert said in capsys.readouterr().err
    assert locate(*given, tmp_path / "out", "--resume") == 0
    assert "(16 of them by the interrupted run)" in capsys.readouterr().err
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()
    assert locate(*given, tmp_path / "out", "--resume") == 0
    assert "is complete: 24 answers" in capsys.readouterr().err
    assert locate(*given, tmp_path / "out", "--resume", "--model", "geoclip") == 2
    assert "is complete, and holds a run with model orbit, but this run has geoclip" in capsys.readouterr().err


def test_evaluate_and_one_model_commands(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{path.name},{number},{number}" for number, path in enumerate(sorted(pictures.iterdir()))]
    (tmp_path / "truth.csv").write_text("\n".join(["filename,lat,lon", *rows]))
    command = ["evaluate", "model", "auto", str(tmp_path / "truth.csv"), "--images", str(pictures)]
    assert main([*command, "--format", "json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["system"] == "auto (orbit, geoclip)" and json.loads(told.out)["n"] == 6
    assert "model: auto (orbit, geoclip)\n" in told.err
    assert main(["embed", "images", str(pictures), "-o", str(tmp_path / "rows.npy")]) == 0
    assert capsys.readouterr().err.startswith("model: geoclip (the default once it is pulled; choose another with")
    assert main(["privacy", "check", str(pictures / "00-200.png"), "--format", "jsonl"]) == 0
    assert "to the model" not in (told := capsys.readouterr()).err and '"orbit"' in told.out
    assert main(["model", "list", "--format", "json"]) == 0
    assert [model["default"] for model in json.loads(capsys.readouterr().out)] == [True, True]


def test_the_server_asks_both(tmp_path: Path) -> None:
    write_pair(tmp_path / "orbit", tmp_path / "server" / "home")

    def photo(brightness: int) -> bytes:
        file = io.BytesIO()
        shade(brightness).save(file, "PNG")
        return file.getvalue()

    command = [sys.executable, "-c", AS_BUILT_IN, "serve"]
    with running("auto", tmp_path / "server", command=command, TINY_ORBIT=str(tmp_path / "orbit")) as server:
        assert "serving auto (orbit, geoclip) at " in server.said
        found = server.ask("GET", "/v1/models").json["models"]
        assert [(model["name"], model["default"]) for model in found] == [("orbit", False), ("geoclip", True)]
        reply = server.locate(*(photo(one) for one in (0, 200, 30, 255)), b"damaged")
        assert reply.json["model"] == "auto (orbit, geoclip)"
        *answers, failed = reply.json["answers"]
        assert [answer["model"] for answer in answers] == ["geoclip", "orbit", "geoclip", "orbit"]
        assert "error" in failed
        for answer in answers:
            check_answer(answer)
        body = b'{"coordinates": [[10.0, 20.0]]}'
        embedded = server.ask("POST", "/v1/embed", body, {"Content-Type": "application/json"})
        assert embedded.json["model"] == "geoclip"

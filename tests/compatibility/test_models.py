"""Model folders of 0.1.0 locate the same places, with the config.json of every form there was."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import earthclip
from earthclip.cli import main
from tests.compatibility.reading import check_same_places, read_json_lines

PICTURES = [f"pictures/{i:02}.jpg" for i in range(20) if i != 7]
EXACT = ["--runtime", "onnxruntime", "--precision", "float32", "--format", "jsonl"]


def locate(out: Path, *asked: str, code: int) -> list[dict[str, object]]:
    assert main(["locate", *asked, *EXACT, "-o", str(out)]) == code
    return read_json_lines(out)


@pytest.mark.parametrize("form", ["models/tiny/config.json", *(f"models/form-{number}.json" for number in range(1, 5))])
def test_each_form_of_config_json(old: Path, tmp_path: Path, form: str) -> None:
    if "form" in form:
        shutil.copy(form, "models/tiny/config.json")
    answers = locate(tmp_path / "now.jsonl", "pictures", "--model", "models/tiny", code=1)
    check_same_places(read_json_lines(Path("models/tiny.jsonl")), answers)
    model = earthclip.load("models/tiny")
    assert (model.name, model.config.logit_scale, model.config.temperature) == ("tiny", 2.0, 1.5)


def test_what_a_config_says_is_kept(old: Path) -> None:
    tiny, full = earthclip.load("models/tiny").config, earthclip.load("models/full").config
    assert tiny.calibration is not None and tiny.calibration.conformal == {"0.5": 0.6, "0.9": 0.95}
    assert tiny.calibration.measured == {"pictures": 20}
    assert tiny.caution == "for tests" and full.caution is None
    assert full.views == ("none", "flip", "ten-crop")
    assert full.words is not None and full.words.length == 12
    assert full.int8["lowest_cosine"] == pytest.approx(0.978655)


def test_text_views_and_int8(old: Path, tmp_path: Path) -> None:
    answers = locate(tmp_path / "now.jsonl", "pictures", "--model", "models/full", code=1)
    check_same_places(read_json_lines(Path("models/full.jsonl")), answers)
    said = ["--text", "snow over a volcano"]
    answers = locate(tmp_path / "text.jsonl", *said, "--model", "models/full", code=0)
    check_same_places(read_json_lines(Path("models/text.jsonl")), answers)
    exact, rough = (earthclip.load("models/full", runtime="onnxruntime", precision=p) for p in ("float32", "int8"))
    embeddings = exact.encode_image(PICTURES)
    cosines = (embeddings * rough.encode_image(PICTURES)).sum(axis=1)
    assert cosines.min() > 0.95 and not np.array_equal(embeddings, rough.encode_image(PICTURES))
    flipped = exact.encode_image(PICTURES, views="flip")
    assert 0.5 < float((embeddings * flipped).sum(axis=1).mean()) < 1

"""A Question checks its fields, names the nearest of a wrong one, and says what decides an answer."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from earthclip.errors import InputError
from earthclip.geo.regions import parse_region
from earthclip.locating.locator import load
from earthclip.locating.question import Question, QuestionFields


def test_the_keyword_arguments_are_the_fields() -> None:
    assert list(QuestionFields.__annotations__) == [field.name for field in dataclasses.fields(Question)]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"prior": "sea"}, "unknown prior 'sea'; expected model or land"),
        ({"views": "five"}, "unknown views 'five'; expected none, flip, ten-crop"),
        ({"min_confidence": 1.5}, "min_confidence is 1.5; expected 0"),
        ({"text_weight": -1.0}, r"text_weight is -1.0; expected 0 \(the picture alone\) to 1 \(the text alone\)"),
        ({"topk": 3}, "a question has no 'topk'; did you mean 'top_k'?"),
        ({"xyzzy": 3}, "a question has no 'xyzzy'; known: top_k, views"),
    ],
)
def test_wrong_fields_are_named(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Question().with_fields(fields)


def test_fields_change_the_question_given(tiny_model: Path, picture: Path) -> None:
    locator = load(tiny_model)
    (answer,) = locator.locate([picture], Question(top_k=3, min_confidence=1.0), top_k=2)
    assert len(answer.coordinates) == 2 and answer.abstained


def test_options_are_what_decides_the_answers() -> None:
    region = parse_region("Norway")
    options = Question(top_k=2, region=region, text="fjord", text_weight=0.25, names=True).options
    assert options == {
        "top_k": 2,
        "region": f"Norway ({region.fingerprint})",
        "prior": "model",
        "refine": False,
        "min_confidence": 0.0,
        "views": "none",
        "text": "fjord",
        "text_weight": 0.25,
    }
    assert "text_weight" not in Question().options

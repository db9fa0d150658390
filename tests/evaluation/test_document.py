"""The report as JSON, text, Markdown and HTML; names of strangers stay text."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from earthclip.evaluation.document import Picture, Section, document
from earthclip.evaluation.leaderboard import leaderboard
from earthclip.evaluation.measured import Evaluation, evaluate
from earthclip.evaluation.outcomes import Outcomes
from earthclip.evaluation.rendering import escaped, open_markdown, to_html, to_markdown, to_text
from earthclip.geo.sphere import great_circle_km
from earthclip.metrics import Intervals, Report

RUDE = 'a|b<script>alert("1")</script>\n[x](y)\x1b[31m*_$x$'


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    rng = np.random.default_rng(0)
    truths = np.stack([rng.uniform(30, 60, 200), rng.uniform(-10, 40, 200)], axis=1)
    answers, others = (np.clip(truths + rng.normal(0, spread, truths.shape), -80, 80) for spread in (3, 6))
    held = rng.uniform(0, 1, 200)
    hit = great_circle_km(truths, answers) <= 200.0
    outcomes = Outcomes(held, hit, np.stack([held > 0.5, held > 0.1], axis=1), np.ones((200, 2)))
    return evaluate(
        RUDE,
        "set.csv",
        truths,
        answers,
        outcomes=outcomes,
        other=("other", others),
        leaderboard=leaderboard("im2gps3k"),
        left_out=["3 of 203 pictures could not be read"],
        resamples=100,
    )


@pytest.fixture(scope="module")
def pictures(evaluation: Evaluation) -> list[Picture]:
    pytest.importorskip("matplotlib")
    from earthclip.evaluation.plots import draw

    return draw(evaluation)


def test_json_has_the_report_and_everything_else(evaluation: Evaluation) -> None:
    plain = json.loads(json.dumps(evaluation.to_object(), allow_nan=False))
    assert Report(**{name: plain[name] for name in ("n", "accuracy", "median_km", "mean_km", "geoscore")}) == (
        Report.from_errors(evaluation.errors_km)
    )
    assert plain["intervals"]["mean_km"] == list(Intervals.from_errors(evaluation.errors_km, 100).mean_km)
    assert plain["bootstrap"] == {"level": 0.95, "resamples": 100, "seed": 0}
    assert sum(group["n"] for group in plain["by_country"]) == sum(group["n"] for group in plain["by_continent"]) == 200
    assert plain["by_country"][0]["intervals"]["accuracy"]["25"][0] <= plain["by_country"][0]["accuracy"]["25"]
    assert plain["calibration"]["within_km"] == 200
    assert plain["comparison"]["names"] == [RUDE, "other"]
    assert sum(plain["comparison"]["agreement"]["750"][side] for side in ("both", "only_first")) == round(
        200 * plain["accuracy"]["750"]
    )
    assert [row["system"] for row in plain["leaderboard"]["quoted"]][:2] == ["ISNs", "GeoCLIP"]
    assert plain["warnings"][0] == "3 of 203 pictures could not be read"
    assert "Im2GPS3k has 2,997" in plain["warnings"][1]


def test_what_was_not_asked_for_is_not_there() -> None:
    plain = evaluate("a", "b", np.zeros((2, 2)), np.ones((2, 2)), resamples=5).to_object()
    assert not {"comparison", "calibration", "leaderboard"} & set(plain)
    assert plain["warnings"] == []


def test_sections_in_order(evaluation: Evaluation) -> None:
    titles = [section.title for section in document(evaluation)]
    assert titles[1:] == ["Comparison", "Leaderboard: Im2GPS3k", "Calibration", "By continent", "By country"]
    board = document(evaluation)[2].tables[0]
    assert [str(row[1]) for row in board.rows] == ["quoted"] * 9 + ["measured here"] * 2
    assert board.marked == {9, 10}
    assert str(board.rows[9][-1]) == "200 pictures of set.csv"
    within_25 = board.rows[9][3]
    assert within_25.value == f"{100 * evaluation.report.accuracy['25']:.1f}"
    assert within_25.interval == "-".join(f"{100 * end:.1f}" for end in evaluation.intervals.accuracy["25"])


def test_differences_carry_their_sign(evaluation: Evaluation) -> None:
    assert evaluation.comparison is not None
    difference = document(evaluation)[1].tables[0].rows[2]
    assert difference[3].value == f"{100 * evaluation.comparison.accuracy['200']:+.1f}"
    assert difference[3].value.startswith("+") and difference[6].value.startswith("-")  # better, so nearer
    assert " to " in difference[3].interval


def test_markdown_is_one_table_row_a_line_and_escapes_names(evaluation: Evaluation) -> None:
    text = to_markdown(document(evaluation))
    assert text.startswith("# a\\|b\\<script\\>alert")
    assert "<script" not in text.replace("\\<script", "")
    assert "\x1b" not in text
    tables = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    assert len(tables) == 8
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1
    assert "![" not in text


def test_pictures_are_linked_where_they_were_written(evaluation: Evaluation, pictures: list[Picture]) -> None:
    text = to_markdown(document(evaluation, pictures), {"error_map": "plots/error_map.png"})
    assert re.findall(r"\]\(<(.*?)>\)", text) == ["plots/error_map.png"]


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_is_whole_and_asks_for_nothing(evaluation: Evaluation, pictures: list[Picture]) -> None:
    page = Page()
    page.feed(to_html(document(evaluation, pictures), "made of <nothing>"))
    assert page.open == []
    assert "script" not in page.tags
    assert page.tags.count("img") == 3 and page.tags.count("table") == 8
    assert page.tags.count("strong") == 3  # the difference, and what was measured here, beside what is quoted
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert '<script>alert("1")</script>' in page.text
    assert "made of <nothing>" in page.text


def test_pictures_show_something(pictures: list[Picture]) -> None:
    images = {picture.name: Image.open(io.BytesIO(picture.png)) for picture in pictures}
    assert set(images) == {"error_curve", "error_map", "calibration"}
    assert {name: picture.size for name, picture in images.items()}["error_map"][0] == 1560
    for picture in images.values():
        colours = picture.convert("RGB").getcolors(1 << 20)
        assert colours is not None and len(colours) > 50
    found = np.asarray(images["error_map"].convert("RGB")).reshape(-1, 3)
    assert (found == (0xCC, 0x47, 0x78)).all(axis=1).sum() > 50  # dots of the class up to 750 km


def test_one_picture_can_be_drawn() -> None:
    pytest.importorskip("matplotlib")
    from earthclip.evaluation.plots import draw

    alone = evaluate("_hidden", "b", np.array([[89.9, 179.9]]), np.zeros((1, 2)), resamples=5)
    assert len(draw(alone)) == 2


def test_text_is_aligned(evaluation: Evaluation) -> None:
    counts = to_text(document(evaluation)[1]).split("\n\n")[-1].splitlines()
    assert counts[0].split("  ")[0] == "within"
    ends = {line.rindex(word) + len(word) for line in counts for word in [line.split()[-1]]}
    assert len(ends) == 1
    assert "\x1b" not in to_text(document(evaluation)[1])


def test_escaping_leaves_words_alone() -> None:
    assert escaped("Müller-Budack, 10.5 % (2018)") == "Müller-Budack, 10.5 % (2018)"
    assert escaped("a\nb|c") == "a\N{REPLACEMENT CHARACTER}b\\|c"
    assert to_markdown([Section("t", ["p"])]) == "# t\n\np\n"


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys

    from earthclip.errors import MissingExtraError
    from earthclip.evaluation.plots import check_plots

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"earthclip\[map\]"):
        check_plots()
    monkeypatch.setitem(sys.modules, "markdown_it", None)
    with pytest.raises(MissingExtraError, match=r"a report as HTML needs markdown-it-py, .*earthclip\[map\]"):
        open_markdown()

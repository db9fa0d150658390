"""Ways to run an encoder, timed by a stand-in clock: the fastest that is exact wins, by more than 5 %."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earthclip.errors import ModelError
from earthclip.locating.locator import load
from earthclip.models import measured, openvino, race
from earthclip.models.fastest import Choice, choose, files_of
from earthclip.models.folder import open_folder
from earthclip.models.measured import Attempts, Row, read_record
from earthclip.models.race import Race, measure, measure_missing
from earthclip.models.trial import Trial, spread
from tests.tiny import write_tiny_model

EXACT = Choice(Path("a.onnx"), "onnxruntime", "float32")
FAST = Choice(Path("a.onnx"), "openvino", "float32")
LOW = Choice(Path("a.onnx"), "openvino", "bfloat16")
INT8 = Choice(Path("a.int8.onnx"), "onnxruntime", "int8")
ROWS = np.eye(4, dtype=np.float32)


class Bench:
    """Ways that take the seconds they are given, by a clock of their own, and give rows off by an angle."""

    def __init__(self, seconds: dict[Choice, float], wrong: dict[Choice, Any] | None = None) -> None:
        self.now, self.seconds, self.wrong = 0.0, seconds, wrong or {}
        self.opened: list[Choice] = []

    def open(self, way: Choice) -> Callable[[np.ndarray], np.ndarray]:
        self.opened.append(way)
        wrong = self.wrong.get(way)
        if isinstance(wrong, Exception):
            raise wrong

        def encode(values: np.ndarray) -> np.ndarray:
            self.now += len(values) * self.seconds.get(way, 100.0)
            rows = ROWS[: len(values)].copy()
            if wrong is not None:
                rows[:, 3] = wrong
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            return rows

        return encode

    def run(self, kept: Choice = EXACT, *, int8: bool = False) -> tuple[dict[Choice, Row], Choice]:
        trial = Trial([np.zeros((1, 1))] * 4, np.zeros((2, 1)))
        contest = Race(trial, self.open, 0.999, int8=int8, clock=lambda: self.now)
        rows, chosen = contest.run([way for way in self.seconds if way.threads is None], kept)
        ways = [Choice(Path(row.file), row.runtime, row.precision, row.gpu, row.threads) for row in rows]
        return dict(zip(ways, rows, strict=True)), ways[chosen]


@pytest.fixture(autouse=True)
def one_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "usable_processors", lambda: 1)
    monkeypatch.setattr(race, "is_busy", lambda: False)


def test_the_fastest_is_chosen_and_all_have_their_figures() -> None:
    rows, chosen = Bench({EXACT: 0.9, FAST: 0.5, LOW: 0.2}).run()
    assert chosen == LOW
    assert [round(rows[way].alone_ms or 0) for way in (EXACT, FAST, LOW)] == [900, 500, 200]
    assert rows[LOW].together_ms == pytest.approx(200) and rows[LOW].lowest_cosine == pytest.approx(1)


def test_one_that_is_made_slow_is_not_chosen() -> None:
    assert Bench({EXACT: 0.9, FAST: 0.5, LOW: 20.0}).run()[1] == FAST


@pytest.mark.parametrize(("seconds", "chosen"), [(0.96, EXACT), (0.94, FAST)])
def test_only_a_gain_above_5_percent_changes_anything(seconds: float, chosen: Choice) -> None:
    assert Bench({EXACT: 1.0, FAST: seconds}).run()[1] == chosen
    assert Bench({EXACT: 1.0, FAST: seconds}).run(kept=FAST)[1] == FAST


def test_one_that_changes_the_embeddings_or_crashes_is_left_out_and_named() -> None:
    wrong = {LOW: 0.1, FAST: np.nan, INT8: ModelError("no such instruction")}
    rows, chosen = Bench({EXACT: 1.0, FAST: 0.1, LOW: 0.1, INT8: 0.1}, wrong).run(int8=True)
    assert chosen == EXACT
    assert rows[FAST].fault == "its embeddings are not finite numbers" and rows[INT8].fault == "no such instruction"
    assert rows[LOW].fault is None and (rows[LOW].lowest_cosine or 0) < 0.999
    with pytest.raises(ModelError, match="no such instruction"):  # nothing to compare the others with
        Bench({EXACT: 1.0}, {EXACT: ModelError("no such instruction")}).run()


def test_one_kept_that_no_longer_works_is_replaced() -> None:
    assert Bench({EXACT: 1.0, FAST: 0.1}, {FAST: RuntimeError("broken")}).run(kept=FAST)[1] == EXACT


@pytest.mark.parametrize("allowed", [True, False])
def test_int8_must_be_allowed(allowed: bool) -> None:
    assert Bench({EXACT: 1.0, INT8: 0.2}).run(int8=allowed)[1] == (INT8 if allowed else EXACT)


def test_fewer_threads_win_where_they_are_faster_alone_and_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "usable_processors", lambda: 8)
    half, one = (Choice(EXACT.path, "onnxruntime", "float32", threads=threads) for threads in (4, 1))
    rows, chosen = Bench({EXACT: 1.0, half: 0.7, one: 3.0}).run()
    assert chosen == half and rows[one].alone_ms == pytest.approx(3000)
    monkeypatch.setenv("EARTHCLIP_THREADS", "3")
    assert Bench({EXACT: 1.0, half: 0.7}).run()[1] == EXACT


def test_no_more_than_the_time_it_may_take_and_then_what_each_took_alone_decides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(race, "SECONDS", 5.0)
    bench = Bench({EXACT: 1.0, FAST: 0.5})
    rows, chosen = bench.run()
    assert chosen == FAST and rows[FAST].together_ms is None and bench.opened == [EXACT, FAST]


def test_measured_once_and_kept(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(openvino, "SMALL", 1)
    monkeypatch.setattr(openvino, "HEAVY", 1)
    monkeypatch.setattr(race, "_TURNS", 1)
    folder, told = open_folder(tiny_model), list[str]()
    locator = load(tiny_model)
    locator.measure_speed(told.append)
    assert "onnxruntime float32" in told and "openvino float32" in told
    record = read_record("image", files_of(folder, "image"))
    assert record is not None and all((row.lowest_cosine or 0) > 0.999 for row in record.rows)
    assert choose(folder).runtime == record.rows[record.chosen].runtime == locator.image_choice.runtime
    assert read_record("places", files_of(folder, "places")) is not None
    monkeypatch.setattr(race, "measure", lambda *_: pytest.fail("measured a second time"))
    load(tiny_model).warm_up()
    load(tiny_model, precision="float32").warm_up()

    (tmp_path / "file").write_text("where a folder should be")
    monkeypatch.setenv("EARTHCLIP_HOME", str(tmp_path / "file"))
    measure_missing(folder)
    assert not measured.can_keep()
    (line,) = caplog.messages
    assert "the speed of tiny is not measured; a rule by processor chose image_encoder.onnx, run by openvino" in line


def test_what_ended_a_process_is_left_out_the_next_time(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "SMALL", 1)
    monkeypatch.setattr(race, "_TURNS", 1)
    folder = open_folder(tiny_model)
    begun = Attempts("image", files_of(folder, "image"))
    begun.path.parent.mkdir(parents=True)
    begun.begin("openvino float32")  # and then a signal
    record = measure(folder, "image")
    faults = {row.runtime: row.fault for row in record.rows if row.threads is None and row.precision == "float32"}
    assert faults == {
        "onnxruntime": None,
        "openvino": f"it ended an earlier process; delete {begun.path} to try it again",
    }
    assert begun.path.read_text() == "openvino float32\n"
    begun.path.unlink()
    assert all(row.fault is None for row in measure(folder, "image").rows) and not begun.path.exists()


def test_what_was_measured_on_a_busy_machine_is_measured_again_on_a_quiet_one(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, measures = open_folder(tiny_model), list[str]()
    real = measure
    monkeypatch.setattr(race, "measure", lambda *given: measures.append(given[1]) or real(*given))
    for busy, done in ((True, 1), (True, 1), (False, 2), (False, 2), (True, 2)):
        monkeypatch.setattr(race, "is_busy", lambda busy=busy: busy)
        measure_missing(folder, encoders=["image"])
        assert len(measures) == done
    record = read_record("image", files_of(folder, "image"))
    assert record is not None and not record.busy


def test_a_single_answer_measures_nothing(tiny_model: Path, picture: Path, earthclip_home: Path) -> None:
    list(load(tiny_model).locate([picture], top_k=1))
    assert not (earthclip_home / "measured").exists()


def test_an_export_of_one_graph_for_places(tmp_path: Path) -> None:
    from tests.tiny import phases_graph, save_graph

    folder = write_tiny_model(tmp_path / "one")
    (folder / "location_phases.onnx").unlink()
    graph = phases_graph(np.random.default_rng(0))
    graph.output[0].name = graph.node[-1].output[0] = "embedding"
    save_graph(folder / "location_encoder.onnx", graph)
    from dataclasses import replace

    from earthclip.models.config import read_config, write_config

    write_config(folder, replace(read_config(folder), phases_apart=False, embedding_size=12))
    record = measure(open_folder(folder), "places")
    assert {row.runtime for row in record.rows} == {"onnxruntime"}


def test_places_are_spread_evenly() -> None:
    places = spread(1000)
    assert abs(np.sin(np.radians(places[:, 0])).mean()) < 0.01 and np.abs(places[:, 1]).max() <= 180
    assert (places[:, 0] > 30).mean() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(("used", "busy"), [(10, False), (90, True)])
def test_a_machine_is_busy_by_what_is_used_now(used: int, busy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stat:
        ticks = 0

        def read_text(self, encoding: str) -> str:
            self.ticks += 1
            return f"cpu  {500 + used * self.ticks} 0 0 {500 + (100 - used) * self.ticks} 0 0 0 0 0 0\ncpu0 1 2 3 4\n"

    monkeypatch.setattr(measured, "_STAT", Stat())
    monkeypatch.setattr(measured, "_LOOK_SECONDS", 0)
    assert measured.is_busy() == busy
    monkeypatch.setattr(measured, "_STAT", Path("nowhere"))
    assert not measured.is_busy()

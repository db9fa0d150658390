"""Progress: what the line says, and that it is only there on a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from earthclip.cli.status import Pace, Screen, StatusLine, duration, say


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_pace_of_a_known_number() -> None:
    clock = Clock()
    pace = Pace(5000, 1000, clock)
    clock.now = 10.0
    assert pace.text(1250) == "[#####---------------] 1,250 of 5,000  25 %  25.0/s  2:30 left"
    for clock.now in range(11, 100):
        text = pace.text(1250 + 5 * int(clock.now - 10))  # slower since
    assert text == "[#######-------------] 1,695 of 5,000  34 %  5.0/s  11:01 left"
    clock.now = 101.0
    assert pace.text(5000).startswith("[####################] 5,000 of 5,000  100 %")


def test_pace_of_an_unknown_number_and_before_anything_is_known() -> None:
    clock = Clock()
    assert Pace(None, 0, clock).text(0) == "0"
    assert Pace(10, 0, clock).text(0) == "[--------------------] 0 of 10  0 %"
    pace = Pace(None, 0, clock)
    clock.now = 2.0
    assert pace.text(3000) == "3,000  1500.0/s"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (57.4, "57 s"), (59.7, "1:00"), (174, "2:54"), (3754, "1:02:34")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_line_is_overwritten_ten_times_a_second_at_most_and_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", "20")
    status = StatusLine()
    status.clear()
    assert terminal.getvalue() == ""
    for _ in range(100):
        status.show("x" * 100)
    assert terminal.getvalue() == "\r\033[K" + "x" * 19
    status.clear()
    status.clear()
    assert terminal.getvalue().endswith("x\r\033[K")
    monkeypatch.setattr(sys, "stderr", plain := io.StringIO())
    status = StatusLine()
    status.show("x")
    status.clear()
    assert plain.getvalue() == ""


def test_what_is_said_is_one_line_that_controls_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    say("error: a\x1b]0;x\x07.jpg\u202e:\r\nno \x9b2Jfile")
    assert capsys.readouterr().err == "error: a\ufffd]0;x\ufffd.jpg\ufffd: no \ufffd2Jfile\n"
    screen = Screen(io.StringIO())
    screen.write("a\x1b[2J\rb,1\n")
    assert screen.getvalue() == "a\ufffd[2J\ufffdb,1\n"

"""How many threads an encoder takes, where somebody says so."""

from __future__ import annotations

import pytest

from earthclip.configuration import encoder_threads, usable_processors
from earthclip.errors import ConfigError


@pytest.mark.parametrize(("given", "threads"), [("", None), ("1", 1), ("12", 12)])
def test_threads_are_those_that_are_set(monkeypatch, given, threads):
    monkeypatch.setenv("EARTHCLIP_THREADS", given)
    assert encoder_threads() == threads


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5"])
def test_no_number_of_threads_is_one_line(monkeypatch, given):
    monkeypatch.setenv("EARTHCLIP_THREADS", given)
    with pytest.raises(ConfigError, match=f"^EARTHCLIP_THREADS={given}: expected a number"):
        encoder_threads()


def test_there_is_a_processor():
    assert usable_processors() >= 1

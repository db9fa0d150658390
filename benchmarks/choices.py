"""The part of ``speed.py`` that compares what auto chooses with every runtime and precision that can be forced."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import peak
from bench import Bench, Combination, say
from photos import ROOT
from rows import Check, Row
from sides import UnavailableError

PICTURE = ROOT / "examples" / "red-sea.jpg"


def choices(bench: Bench) -> Iterator[Row]:
    """The image encoder alone, by every runtime and precision that can be forced, and by what auto chose."""
    for model in sorted({combination.model for combination in bench.combinations}):
        auto = Combination(model, "auto", "auto")
        forced = [
            Combination(model, runtime, precision)
            for runtime, precisions in (("onnxruntime", ("float32", "int8")), ("openvino", peak.PRECISIONS))
            for precision in precisions
        ]
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(contextlib.closing(bench.ours(auto)))
            say(f"the speed of {model}, measured as model list --speed does")
            keeps = {tuple(pair) for pair in first.ask("keeps_embeddings")}
            sides = {auto: first}  # which has prepared for many pictures
            for combination in forced:
                try:
                    sides[combination] = stack.enter_context(contextlib.closing(bench.ours(combination)))
                    sides[combination].ask("encode", str(PICTURE), 1)
                except UnavailableError as error:
                    sides.pop(combination, None)
                    yield unavailable(f"image encoder, {combination}", error)
            for batch in (1, 8):
                ways = {
                    str(one): lambda side=side, batch=batch: side.ask("encode", str(PICTURE), batch)
                    for one, side in sides.items()
                }
                times = bench.in_turns(f"image encoder, batches of {batch}", ways)
                fastest = min(times[str(one)].median for one in sides if (one.runtime, one.precision) in keeps)
                for combination, side in sides.items():
                    us = times[str(combination)]
                    checks = [Check("{} times the fastest that keeps embeddings", us.median / fastest, at_most=True)]
                    note = ""
                    if combination == auto:
                        checks = [replace(checks[0], bound=None if bench.quick else 1.05)]
                        note = f" ({' '.join(side.ask('chosen'))})"
                    elif (combination.runtime, combination.precision) not in keeps:
                        note = " (not by itself)"
                    yield Row(f"image encoder, a picture in batches of {batch}, {combination}{note}", us, checks=checks)


def unavailable(what: str, reason: object) -> Row:
    return Row(what, note=f"not available: {reason}")

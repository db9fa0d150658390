"""What ``speed.py`` measures, part by part: each part yields rows of the table as they are known."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import peak
from bench import ORBIT, PAUSE, Bench, Combination, command, earthclip, say
from choices import PICTURE, choices, unavailable
from rows import Check, Figure, Row, times_as_fast
from sides import Side, UnavailableError

ALL_AT_ONCE = 10**9  # rows: how the published package encodes its gallery


def floor(bench: Bench) -> Iterator[Row]:
    for precision, found in bench.peaks.items():
        needs = Figure((peak.VIT_L_14_FLOP / found.rate,))
        yield Row(f"(d) ViT-L/14's 162 GFLOP at the peak {precision} rate, {found}", needs)


def warm(bench: Bench) -> Iterator[Row]:
    sides: dict[str, Side] = {}
    for combination in bench.combinations:
        say(f"loading {combination}")
        try:
            if combination.precision in ("int8", "auto"):  # what first use makes is not to be in the peak memory
                with contextlib.closing(bench.ours(combination)) as first:
                    first.ask("locate", str(PICTURE))
            sides[str(combination)] = bench.ours(combination)
            for picture in (PICTURE, bench.photos[0]):
                sides[str(combination)].ask("locate", str(picture))
        except UnavailableError as error:
            sides.pop(str(combination), None)
            yield unavailable(f"one photo, warm, {combination}", error)
    for kept in (False, True) if bench.python else ():
        say(f"loading the published package{', keeping its gallery' * kept}")
        sides[f"kept={kept}"] = bench.published(kept)
        for picture in (PICTURE, bench.photos[0])[: 2 if kept else 1]:  # (b) takes its time
            sides[f"kept={kept}"].ask("locate", str(picture))
    least = min(bench.floors.items(), key=lambda floor: floor[1])
    for kind, path in ((bench.photo, bench.photos[0]), ("640 x 640 JPEG", PICTURE)):
        ways = {name: lambda side=side, path=path: side.ask("locate", str(path)) for name, side in sides.items()}
        times = bench.in_turns(f"one {kind}, warm", ways)
        b, c = times.get("kept=False"), times.get("kept=True")
        for combination in bench.combinations:
            us = times.get(str(combination))
            if us and combination.model == "orbit":
                yield Row(f"one {kind}, warm, {combination}", us)
            elif us:
                checks = times_as_fast(us, b, "(b)") + times_as_fast(us, c, "(c)")
                _, precision = sides[str(combination)].ask("chosen")
                if own := bench.floors.get(precision):
                    checks.append(
                        Check(
                            f"{{}} times the {precision} floor (d)", us.median / own, combination.floors, at_most=True
                        )
                    )
                    checks.append(Check(f"{{}} times that of {least[0]}", us.median / least[1], at_most=True))
                yield Row(f"one {kind}, warm, {combination}", us, b, c, checks)
    peaks = {name: Figure((side.close(),), "MB") for name, side in sides.items()}
    for combination in bench.combinations:
        if us := peaks.get(str(combination)):
            others = (None, None) if combination.model == "orbit" else (peaks.get("kept=False"), peaks.get("kept=True"))
            yield Row(f"peak memory of that process, {combination}", us, *others)


def folder(bench: Bench) -> Iterator[Row]:
    """Pictures a second beyond start-up: the difference of two folders' times."""
    combinations = [combination for combination in bench.combinations if combination.precision != "float32"]
    with tempfile.TemporaryDirectory(dir=bench.work) as scratch:
        for combination in combinations:
            few, many = (2, 6) if bench.quick else (16, 112) if combination.model == "orbit" else (16, 48)
            what = f"folder of {bench.photo}s, {combination}"
            try:
                yield _folder(bench, combination, what, Path(scratch), few, many)
            except UnavailableError as error:
                yield unavailable(what, error)
    if bench.python:
        slow, kept = bench.published(kept=False), bench.published(kept=True)
        turn = iter(range(10**6))
        rates = bench.in_turns(
            f"predict in a loop, {bench.photo}s",
            {
                "b": lambda: 1 / slow.ask("locate", str(bench.photos[next(turn) % len(bench.photos)])),
                "c": lambda: 4 / sum(kept.ask("locate", str(path)) for path in bench.photos[:4]),
            },
            "a second",
        )
        slow.close(), kept.close()
        yield Row(f"{bench.photo}s, published `predict` in a loop", None, rates["b"], rates["c"])


def _folder(bench: Bench, combination: Combination, what: str, scratch: Path, few: int, many: int) -> Row:
    folders = [_linked(bench.photos, scratch / str(count), count) for count in (few, many)]
    output = scratch / "answers.jsonl"
    rates, ratios, encoder, reading = [], [], [], []
    with contextlib.closing(bench.ours(combination)) as side:
        for n in range(bench.runs + 1):
            say(f"{what}, {n} of {bench.runs}" if n else f"{what}, warming up")
            times = []
            for place in folders:
                output.unlink(missing_ok=True)
                line = earthclip("locate", str(place), "-o", str(output), "--format", "jsonl", *combination.options)
                times.append(command(line, bench.home)[0])
            time.sleep(PAUSE)
            encode = side.ask("encode", str(bench.photos[0]), 16)
            prepare = side.ask("prepare", [str(path) for path in bench.photos])
            if n:
                rates.append((many - few) / max(times[1] - times[0], 1e-9))
                ratios.append(rates[-1] * (encode + prepare / (os.cpu_count() or 1)))
                encoder.append(encode)
                reading.append(prepare)
    possible = Check("{} % of 1 / (encoder + decoding / cores)", 100 * Figure(tuple(ratios)).median, 90)
    hourly = Check("{} pictures a core-hour", 3600 * Figure(tuple(rates)).median / (os.cpu_count() or 1), decimals=0)
    what += f" (encoder {Figure(tuple(encoder))}, decoding {Figure(tuple(reading))} of one core)"
    return Row(what, Figure(tuple(rates), "a second"), checks=[hourly] if bench.quick else [possible, hourly])


def gallery(bench: Bench) -> Iterator[Row]:
    if bench.python:
        model, coordinates = bench.home / "models" / "geoclip", bench.home / "models" / "geoclip" / "gallery.npy"
    else:
        model, coordinates = Path("orbit"), bench.work / "places.npy"
        with bench.arrays() as arrays:
            arrays.ask("places", 2000, str(coordinates))
    bounds = {"openvino": 15.0, "onnxruntime": 2.5}
    sides, ways = {}, {}
    for runtime in bounds:
        save = str(bench.work / f"embeddings-{runtime}.npy")
        try:
            sides[runtime] = bench.ours(Combination(model.name, runtime, "auto"))
            sides[runtime].ask("places", str(coordinates), save)
            ways[runtime] = lambda side=sides[runtime], save=save: side.ask("places", str(coordinates), save)
        except UnavailableError as error:
            yield unavailable(f"location embeddings, {runtime}", error)
    if bench.python:
        sides["theirs"] = Side(bench.python, "PublishedPlaces", bench.home)
        exact = bench.work / "embeddings-exact.npy"
        if not exact.exists():
            say("the published location encoder in float64, once")
            sides["theirs"].ask("exactly", str(coordinates), str(exact))
        ways["b"] = lambda: sides["theirs"].ask("places", str(coordinates), ALL_AT_ONCE)
        ways["chunked"] = lambda: sides["theirs"].ask("places", str(coordinates), 4096)
    count = "2,000" if bench.quick else "100,000"
    times = bench.in_turns(f"{count} places", ways)
    for side in sides.values():
        side.close()
    for runtime, bound in bounds.items():
        if us := times.get(runtime):
            checks = times_as_fast(us, times.get("b"), "(b)", bound)
            if bench.python:
                with bench.arrays() as arrays:
                    cosine = arrays.ask("least_cosine", str(bench.work / f"embeddings-{runtime}.npy"), str(exact))
                checks.append(Check("least cosine to float64 {}", cosine, 0.9999, decimals=6))
            checks += times_as_fast(us, times.get("chunked"), "(b) in chunks of 4,096")
            yield Row(f"{count} places embedded, warm, {runtime}", us, times.get("b"), checks=checks)
    yield from _openings(bench, model if bench.python else Path("orbit"))


def _openings(bench: Bench, model: Path) -> Iterator[Row]:
    first, second = [], []
    for n in range(bench.runs):
        with tempfile.TemporaryDirectory(dir=bench.work) as empty:
            for times in (first, second):  # a process each
                say(f"gallery made and opened, {n + 1} of {bench.runs}")
                with contextlib.closing(bench.ours(ORBIT, str(model), Path(empty))) as side:
                    times.append(side.ask("gallery"))
    yield Row(f"gallery of `{model.name}` made: encoded and kept on disk", Figure(tuple(first)))
    opened = Figure(tuple(second))
    checks = [] if bench.quick else [Check("", opened.median * 1000, 50, at_most=True, unit="ms")]
    yield Row("its second use, in another process: opened and verified", opened, checks=checks)


def million(bench: Bench) -> Iterator[Row]:
    count, width = (20_000, 64) if bench.quick else (1_000_000, 512)
    rows, coordinates = bench.work / f"rows-{count}x{width}.npy", bench.work / f"places-{count}.npy"
    with bench.arrays() as arrays:
        if not rows.exists():
            say(f"{count:,} unit rows, once")
            part = rows.with_suffix(".part.npy")
            arrays.ask("unit_rows", count, width, str(part))
            part.replace(rows)
        arrays.ask("places", count, str(coordinates))
    options = {"rows": str(rows), "coordinates": str(coordinates)}
    with contextlib.closing(Side(sys.executable, "Search", bench.home, count=count, **options)) as whole:
        for _ in range(2):
            whole.ask("query")
        times = bench.in_turns("query", {"query": lambda: whole.ask("query")})["query"]
        most = whole.ask("memory")
    with contextlib.closing(Side(sys.executable, "Search", bench.home, count=count // 10, **options)) as tenth:
        tenth.ask("query")
        less = tenth.ask("memory")
    bounds = (None, None) if bench.quick else (100, 1)
    yield Row(
        f"exact query of {count:,} places",
        times,
        checks=[Check("", times.median * 1000, bounds[0], at_most=True, unit="ms")],
    )
    yield Row(
        "memory of that query beside the map",
        Figure((most,), "MB"),
        checks=[
            Check(f"{{}} MB more than with {count // 10:,}", max(0.0, most - less), bounds[1], at_most=True, unit="MB")
        ],
    )


def cold(bench: Bench) -> Iterator[Row]:
    yield Row("`earthclip --help`", bench.commands.measured["--help"][0])
    for combination, ours, theirs in _commands(bench, 0):
        what = f"`earthclip locate` of one {bench.photo}, cold, {combination}"
        if isinstance(ours, str):
            yield unavailable(what, ours)
        elif combination.model == "orbit":
            yield Row(what, ours, checks=[Check("", ours.median, None if bench.quick else 1.2, at_most=True, unit="s")])
        else:
            yield Row(what, ours, theirs, checks=times_as_fast(ours, theirs, "(b)"))


def memory(bench: Bench) -> Iterator[Row]:
    for combination, ours, theirs in _commands(bench, 1):
        what = f"peak memory of that command, {combination}"
        bound = 250 if combination.model == "orbit" else 1200
        if bench.quick or combination.precision == "float32":  # whose weights alone are as much
            bound = None
        if isinstance(ours, str):
            yield unavailable(what, ours)
        else:
            yield Row(what, ours, theirs, checks=[Check("", ours.median, bound, at_most=True, unit="MB")])


def _commands(bench: Bench, which: int) -> Iterator[tuple[Combination, Figure | str, Figure | None]]:
    """Of each combination's command, our figure (0: seconds, 1: MB) or why there is none, and the published one's."""
    published = bench.commands.measured.get("published")
    for combination in bench.combinations:
        found = bench.commands.measured.get(str(combination))
        theirs = published[which] if published and combination.model != "orbit" else None
        yield combination, found[which] if found else bench.commands.refused[str(combination)], theirs


PARTS = {part.__name__: part for part in (floor, choices, warm, folder, gallery, million, cold, memory)}
MINUTES = {
    "floor": 1.0,
    "choices": 6.0,
    "warm": 8.0,
    "folder": 16.0,
    "gallery": 6.0,
    "million": 1.0,
    "cold": 5.0,
    "memory": 5.0,
}


def _linked(photos: list[Path], folder: Path, count: int) -> Path:
    """A folder of so many files, the photos over and over."""
    folder.mkdir(exist_ok=True)
    for n in range(count):
        path, photo = folder / f"{n:04}.jpg", photos[n % len(photos)]
        if not path.exists():
            try:
                path.hardlink_to(photo)
            except OSError:
                shutil.copyfile(photo, path)
    return folder

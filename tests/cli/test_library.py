"""The loop around a library of photos: only what is missing, neighbours and tracks, a plan, applied and undone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from earthclip.cli import main


def run(*arguments: str | Path) -> int:
    return main([*map(str, arguments)])


def write_photo(
    path: Path,
    time: str | None = None,
    place: tuple[float, float] | None = None,
    zone: str | None = "+02:00",
    camera: str = "Phone",
) -> Path:
    """A small JPEG with EXIF as cameras write it: ``time`` as 2024:06:01 10:00:00, ``place`` in degrees."""
    exif = Image.Exif()
    exif[0x0110] = camera
    if time:
        details = exif.get_ifd(0x8769)
        details[0x9003] = time
        if zone:
            details[0x9011] = zone
    if place:
        values: dict[int, Any] = {}
        for tag, degrees, signs in ((1, place[0], "NS"), (3, place[1], "EW")):
            values[tag] = signs[degrees < 0]
            values[tag + 1] = (abs(degrees), 0.0, 0.0)
        exif.get_ifd(0x8825).update(values)
    seed = sum(path.name.encode())
    Image.linear_gradient("L").resize((40, 30)).rotate(seed).convert("RGB").save(path, exif=exif)
    return path


def answered(text: str) -> list[str]:
    return [Path(json.loads(line)["path"]).name for line in text.splitlines()]


def test_only_what_is_missing(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_photo(tmp_path / "placed.jpg", place=(47.4, 8.5))
    write_photo(tmp_path / "bare.jpg")
    write_photo(tmp_path / "zero.jpg", place=(0.0, 0.0))
    write_photo(tmp_path / "estimated.jpg")
    how = ["--model", tiny_model, "--format", "jsonl"]
    assert run("locate", tmp_path / "estimated.jpg", *how, "--write-sidecar", "--all-sidecars") == 0
    capsys.readouterr()
    assert run("locate", tmp_path, *how, "--only-missing") == 0
    captured = capsys.readouterr()
    assert answered(captured.out) == ["bare.jpg", "zero.jpg"]
    assert "left out: 2 with a position (1 of them an estimate by EarthCLIP)\n" in captured.err
    assert "located: 1 with the position 0, 0" in captured.err
    out = tmp_path / "out.jsonl"
    for _ in range(2):  # the second finds it complete, though sidecars give the pictures positions by then
        resumed = "--write-sidecar", "--all-sidecars", "--only-missing", "--resume"
        assert run("locate", tmp_path, "--model", tiny_model, "-o", out, *resumed) == 0
    assert "is complete: 2 answers" in capsys.readouterr().err and answered(out.read_text()) == ["bare.jpg", "zero.jpg"]
    assert run("locate", "--text", "snow", "--only-missing") == 2
    assert "--only-missing is about pictures" in capsys.readouterr().err

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from earthclip.errors import ConfigError, ModelError
from earthclip.models.config import Calibration, ConfidenceBin, read_config, write_config
from tests.tiny import write_tiny_model


def test_masses_between_those_fitted_are_interpolated() -> None:
    found = Calibration({"0.5": 0.4, "0.9": 0.95})
    assert [found.mass_for(p) for p in (0.5, 0.9, 1.0)] == [0.4, 0.95, 1.0]
    assert found.mass_for(0.25) == pytest.approx(0.2)
    assert found.mass_for(0.7) == pytest.approx(0.675)
    assert Calibration().mass_for(0.9) == pytest.approx(0.9)


@pytest.mark.parametrize("conformal", [{"0.5": 1.5}, {"0.5": -0.1}, {"half": 0.5}, {"1.0": 1.0}, {"0.5": float("nan")}])
def test_impossible_ones_are_refused(conformal: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"shares in \(0, 1\) to masses in \[0, 1\]"):
        Calibration(conformal)


def test_masses_must_rise() -> None:
    with pytest.raises(ConfigError, match="must rise"):
        Calibration({"0.5": 0.9, "0.9": 0.5})


def test_kept_in_config_json(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "tiny")
    plain = read_config(folder)
    assert plain.calibration is None
    given = Calibration({"0.5": 0.4, "0.9": 0.95}, {"n": 100})
    write_config(folder, dataclasses.replace(plain, calibration=given, temperature=0.8))
    assert read_config(folder).calibration == given
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"0.9": 0.95', '"0.9": 0.3'))
    with pytest.raises(ModelError, match="must rise"):
        read_config(folder)


def test_bins_of_confidence(tmp_path: Path) -> None:
    bins = (ConfidenceBin({"0.9": 0.92}, 2.0), ConfidenceBin({"0.9": 0.96}, 4.5), ConfidenceBin({"0.9": 0.99}))
    given = Calibration({"0.9": 0.95}, {"n": 700}, bins)
    assert [given.at(entropy).mass_for(0.9) for entropy in (0.0, 2.0, 4.4, 9.0)] == [0.92, 0.96, 0.96, 0.99]
    plain = Calibration({"0.9": 0.95})
    assert plain.at(3.0) is plain
    folder = write_tiny_model(tmp_path / "tiny")
    write_config(folder, dataclasses.replace(read_config(folder), calibration=given))
    assert read_config(folder).calibration == given


@pytest.mark.parametrize("bounds", [[2.0, 1.0, None], [2.0, 3.0], [None, None], [], [float("nan"), None]])
def test_bounds_of_bins_must_rise(bounds: list[float | None]) -> None:
    with pytest.raises(ConfigError, match="below_nats of bins must rise"):
        Calibration(bins=tuple(ConfidenceBin({"0.9": 0.9}, bound) for bound in bounds))

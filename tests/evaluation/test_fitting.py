"""Regions fitted in bins of confidence hold for sure and unsure pictures alike, where one mass for all does not."""

from __future__ import annotations

import numpy as np
import pytest

from earthclip.errors import InputError
from earthclip.evaluation.calibration import Evidence, outcomes
from earthclip.evaluation.fitting import fit, ranges
from earthclip.locating.gallery import Gallery
from tests.evaluation.test_calibration import SCALE, evidence


def mixed(n: int, seed: int) -> Evidence:
    """Half of the pictures faint ones, of which the model is less sure and yet too sure."""
    sure, unsure = evidence(n // 2, 0.5, seed), evidence(n // 2, 4.0, seed + 100)
    embeddings = np.concatenate([sure.embeddings, unsure.embeddings * np.float32(0.35)])
    return Evidence(sure.gallery, SCALE, embeddings, np.concatenate([sure.truths, unsure.truths]))


def test_bins_keep_the_promise_for_sure_and_unsure() -> None:
    given, other = mixed(1000, 0), mixed(600, 7)
    fitted = fit(given, "m.csv")
    assert fitted.calibration.bins is not None and len(fitted.calibration.bins) == 6
    bounds = [one.below_nats for one in fitted.calibration.bins]
    assert bounds[-1] is None and bounds[:-1] == sorted(bounds[:-1])  # type: ignore[type-var]
    assert fitted.misses[1] < 0.6 * fitted.misses[0] and not fitted.is_worse
    held_out = outcomes(other, fitted.temperature, fitted.calibration)
    for half in (slice(0, 300), slice(300, 600)):
        assert held_out.covered[half, 1].mean() == pytest.approx(0.9, abs=0.06)
    plain = outcomes(other, fitted.temperature)
    assert abs(plain.covered[300:, 1].mean() - 0.9) > 0.06


def test_few_pictures_have_one_bin() -> None:
    fitted = fit(evidence(120, 2.0), "m.csv")
    assert fitted.calibration.bins is None and fitted.names == ("all",)


def test_halves_share_no_author() -> None:
    given = evidence(60, 1.0)
    numbers = np.repeat(np.arange(3), 20)
    assert fit(given, "m.csv", groups=numbers).after.covered.shape == (60, 2)


def test_places_that_the_gallery_lacks_are_refused() -> None:
    given = evidence(60, 1.0)
    few = Gallery(given.gallery.coordinates[:50], given.gallery.embeddings[:50], "none")
    with pytest.raises(InputError, match=r"60 of the 60 true places have no candidate place of the model near them"):
        fit(Evidence(few, SCALE, given.embeddings, np.full((60, 2), [-80.0, 10.0])), "m.csv")


def test_ranges_of_numbers() -> None:
    assert ranges(["a", "b", "a"], "kind") == ["a", "b", "a"]
    assert set(ranges([str(i) for i in range(40)], "x")) == {
        "0 to 9.75",
        "9.75 to 19.5",
        "19.5 to 29.25",
        "29.25 to 39",
    }
    with pytest.raises(InputError, match="--by x: 13 different values; expected numbers, or at most 12 values"):
        ranges([chr(97 + i) for i in range(13)], "x")

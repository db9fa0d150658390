"""Region, prior, refinement and confidence, through the Locator, against what the posterior says by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from earthclip.errors import InputError
from earthclip.geo.places import describe
from earthclip.geo.regions import Region, parse_region
from earthclip.locating.locator import Locator, load
from tests.tiny import write_picture


@pytest.fixture
def locator(tiny_model: Path) -> Locator:
    return load(tiny_model)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    return [write_picture(tmp_path / f"{seed}.png", seed=seed) for seed in range(3)]


@pytest.fixture
def half(locator: Locator) -> Region:
    """The western half of the Earth, in which some of the tiny model's places lie."""
    region = parse_region("-90,-180,90,0")
    inside = region.contains(locator.gallery.coordinates)
    assert 0 < inside.sum() < len(inside)
    return region


def test_the_posterior_of_a_batch_is_that_of_each_picture(locator: Locator, pictures: list[Path]) -> None:
    together = list(locator.locate(pictures, batch_size=3))
    for path, answer in zip(pictures, together, strict=True):
        (alone,) = locator.locate([path])
        assert answer.posterior is not None and alone.posterior is not None
        np.testing.assert_allclose(answer.posterior.log_probabilities, alone.posterior.log_probabilities, atol=2e-5)
        best = answer.posterior.top_k(5)
        np.testing.assert_allclose(answer.probabilities, best[1], rtol=1e-4)


def test_a_region_keeps_the_answer_and_tells_its_share(locator: Locator, pictures: list[Path], half: Region) -> None:
    free, kept = (list(locator.locate(pictures, top_k=50, **how)) for how in ({}, {"region": half}))
    for everywhere, within in zip(free, kept, strict=True):
        assert within.region == half.name and everywhere.region is None and everywhere.region_share is None
        assert half.contains(within.coordinates).all()
        inside = half.contains(everywhere.coordinates)
        assert len(within.coordinates) == inside.sum()
        np.testing.assert_allclose(within.coordinates, everywhere.coordinates[inside])
        share = everywhere.probabilities[inside].sum()
        np.testing.assert_allclose(within.probabilities, everywhere.probabilities[inside] / share, rtol=1e-4)
        assert within.region_share == pytest.approx(share, rel=1e-4)


def test_a_region_without_places_is_refused_at_once(locator: Locator) -> None:
    nowhere = parse_region("0,0,0.001")
    with pytest.raises(InputError, match="holds none of the 50 places"):
        locator.locate([], region=nowhere)


@pytest.mark.parametrize(
    ("how", "says"), [({"prior": "sea"}, "unknown prior"), ({"min_confidence": 1.5}, "expected 0")]
)
def test_terms_are_checked_at_once(locator: Locator, how: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        locator.locate([], **how)  # type: ignore[arg-type]


def test_refinement_moves_places_and_keeps_to_the_region(locator: Locator, pictures: list[Path], half: Region) -> None:
    (embedding,) = locator.encode_image(pictures[:1])
    (plain,) = locator.locate(pictures[:1])
    (refined,) = locator.locate(pictures[:1], refine=True)
    before, after = (locator.encode_location(answer.coordinates[:1]) @ embedding for answer in (plain, refined))
    assert after[0] > before[0]
    (within,) = locator.locate(pictures[:1], refine=True, region=half)
    assert half.contains(within.coordinates).all()


def test_the_least_confident_abstain(locator: Locator, pictures: list[Path]) -> None:
    (sure,) = locator.locate(pictures[:1], min_confidence=0.0)
    held = sure.confidence
    assert held is not None and 0 < held < 1
    (above,) = locator.locate(pictures[:1], min_confidence=held - 0.001)
    (below,) = locator.locate(pictures[:1], min_confidence=held + 0.001)
    assert not sure.abstained and not above.abstained and below.abstained
    np.testing.assert_array_equal(sure.coordinates, below.coordinates)


def test_places_of_a_batch_are_named_as_each_alone(locator: Locator, pictures: list[Path]) -> None:
    answers = list(locator.locate(pictures, names=True))
    assert all(len(answer.named) == 5 for answer in answers)
    assert [list(answer.places) for answer in answers] == [describe(answer.coordinates) for answer in answers]
    unnamed = list(locator.locate(pictures))
    assert [answer.named for answer in unnamed] == [(), (), ()]
    assert [answer.places for answer in unnamed] == [answer.places for answer in answers]


def test_more_places_than_fit_at_once_give_the_same_answers(
    locator: Locator, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = list(locator.locate(pictures, batch_size=3))
    monkeypatch.setattr("earthclip.locating.ranking._LOGITS", 60)  # one picture's 50 places
    for one, other in zip(together, locator.locate(pictures, batch_size=3), strict=True):
        np.testing.assert_array_equal(one.coordinates, other.coordinates)
        np.testing.assert_allclose(one.probabilities, other.probabilities, rtol=1e-6)

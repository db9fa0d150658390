"""Photos as references: nothing changes where none is similar, places near similar photos gain, and no place loses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthclip import Prediction, load
from earthclip.errors import ConfigError, InputError
from earthclip.geo.motion import Whereabouts
from earthclip.geo.regions import parse_region
from earthclip.geo.sphere import great_circle_km, unit_vectors
from earthclip.locating.evidence import Evidence, Neighbours, Weights, evidence_of, shares_of
from earthclip.locating.index_files import About, append
from earthclip.locating.photo_index import PhotoIndex, fingerprint_of, open_index
from earthclip.locating.question import Question
from tests.locating.records import record

PUNO = np.array([[-15.84, -70.02]])
_unit = st.floats(-1.0, 1.0)


def index_at(
    folder: Path, model: Path, embeddings: np.ndarray, places: np.ndarray, weights: Weights | None = None
) -> PhotoIndex:
    folder.mkdir(parents=True)
    loaded = load(model)
    fingerprint = fingerprint_of(loaded.folder)
    about = About(loaded.name, fingerprint, embeddings.shape[1], complete=True, weights=weights)
    append(folder, about, [record(row) for row in range(len(places))], embeddings.astype(np.float32), places)
    return open_index(folder)


def located(model: Path, picture: Path, *indices: PhotoIndex, **fields: object) -> Prediction:
    (answer,) = load(model).locate([picture], Question(index=indices, **fields))  # type: ignore[arg-type]
    return answer


def test_where_no_photo_is_similar_the_answer_is_that_without_an_index(
    tiny_model: Path, picture: Path, tmp_path: Path
) -> None:
    own = load(tiny_model).encode_image([picture])
    far = index_at(tmp_path / "far", tiny_model, -own, PUNO)
    before, after = located(tiny_model, picture), located(tiny_model, picture, far)
    assert before.posterior is not None and after.posterior is not None
    np.testing.assert_array_equal(after.posterior.log_probabilities, before.posterior.log_probabilities)
    assert after.verdict == before.verdict and after.confidence == before.confidence
    assert after.references[0].share == 0 and after.references[0].similarity == pytest.approx(-1, abs=1e-3)


@given(similarity=_unit, least=st.floats(-1.0, 0.99), weight=st.floats(0.0, 20.0))
def test_a_photo_counts_from_the_least_similarity_on(similarity: float, least: float, weight: float) -> None:
    weights = Weights(weight=weight, least_similarity=least)
    found = evidence_of(Neighbours(np.array([0]), np.array([similarity])), PUNO, weights)
    if similarity <= least or weight == 0:
        assert found is None
    else:
        assert found is not None and 0 <= found.gain <= np.expm1(weight) * (1 + 1e-9)
        gained = found.at(unit_vectors(np.array([[-15.84, -70.02], [40.0, 100.0]])))
        assert gained[0] == pytest.approx(found.gain) and gained[1] < 1e-12


@given(similarities=st.lists(_unit, min_size=1, max_size=20))
def test_shares_sum_to_1_and_fall_with_the_similarity(similarities: list[float]) -> None:
    ordered = np.sort(similarities)[::-1].copy()
    shares = shares_of(Neighbours(np.arange(len(ordered)), ordered), Weights(least_similarity=-1.0))
    assert shares.sum() == pytest.approx(1 if ordered[0] > -1 else 0)
    assert (np.diff(shares) <= 0).all() and (shares >= 0).all()


def test_a_similar_photo_draws_the_answer_to_its_place(tiny_model: Path, picture: Path, tmp_path: Path) -> None:
    own = load(tiny_model).encode_image([picture])
    index = index_at(tmp_path / "near", tiny_model, np.concatenate([own, -own]), np.concatenate([PUNO, [[60, 10]]]))
    before, after = located(tiny_model, picture), located(tiny_model, picture, index)
    strong = dataclasses.replace(index, about=dataclasses.replace(index.about, weights=Weights(weight=12.0)))
    certain = located(tiny_model, picture, strong)
    assert before.posterior and after.posterior and certain.posterior
    for answer in (after, certain):
        assert answer.posterior is not None
        assert answer.posterior.probabilities.sum() == pytest.approx(1.0)
        logs = answer.posterior.log_probabilities[:-1] - before.posterior.log_probabilities
        gallery = answer.posterior.coordinates[:-1]
        elsewhere = great_circle_km(gallery, PUNO[0]) > 500
        np.testing.assert_allclose(logs[elsewhere], logs[elsewhere][0], atol=1e-6)  # none loses to another
    assert after.posterior.probabilities[-1] < certain.posterior.probabilities[-1]
    np.testing.assert_allclose(certain.coordinates[0], PUNO[0])
    (first, second) = certain.references
    assert (first.id, first.share, second.share) == ("photo 0", 1.0, 0.0)
    assert (first.latitude, first.longitude) == (-15.84, -70.02)


def test_the_regions_of_an_answer_are_no_finer_than_photos_count(
    tiny_model: Path, picture: Path, tmp_path: Path
) -> None:
    own = load(tiny_model).encode_image([picture])
    index = index_at(tmp_path / "near", tiny_model, own, PUNO, Weights(weight=20.0, width_km=50.0))
    answer = located(tiny_model, picture, index)
    assert answer.credible[0].level == 7  # cells of 51 km; those of the next level are narrower than the 50 asked for
    assert answer.verdict is not None and answer.verdict.level == "region"


def test_region_and_prior_hold_for_places_of_photos_too(tiny_model: Path, picture: Path, tmp_path: Path) -> None:
    own = load(tiny_model).encode_image([picture])
    index = index_at(tmp_path / "near", tiny_model, own, PUNO, Weights(weight=20.0))
    outside = located(tiny_model, picture, index, region=parse_region("-90,0,90,180"))
    assert outside.longitude > 0 and outside.region_share is not None and outside.region_share < 0.01
    land = located(tiny_model, picture, index, prior="land")
    np.testing.assert_allclose(land.coordinates[0], PUNO[0])
    with pytest.raises(InputError, match="leave it out with an index"):
        Question(index=[index], refine=True)


def test_photos_of_one_place_are_one_candidate(tiny_model: Path, picture: Path, tmp_path: Path) -> None:
    own = load(tiny_model).encode_image([picture])
    burst = np.concatenate([PUNO, PUNO, PUNO + 0.001, PUNO + 1.0])
    index = index_at(tmp_path / "burst", tiny_model, np.repeat(own, 4, axis=0), burst)
    answer = located(tiny_model, picture, index)
    assert answer.posterior is not None and len(answer.posterior.coordinates) == 50 + 2


def test_several_indices_count_together_and_each_must_be_of_the_model(
    tiny_model: Path, picture: Path, tmp_path: Path
) -> None:
    own = load(tiny_model).encode_image([picture])
    indices = [
        index_at(tmp_path / f"{number}", tiny_model, own, PUNO + number, Weights(weight=9.0)) for number in range(2)
    ]
    answer = located(tiny_model, picture, *indices)
    assert {photo.index for photo in answer.references} == {str(index.folder) for index in indices}
    assert answer.posterior is not None and len(answer.posterior.coordinates) == 52
    other = dataclasses.replace(indices[0], about=dataclasses.replace(indices[0].about, fingerprint="0"))
    with pytest.raises(InputError, match="another version of 'tiny'"):
        located(tiny_model, picture, other)
    named = f"{indices[0].folder} ({indices[0].fingerprint})"
    assert Question(index=str(indices[0].folder)).options["index"] == named


def test_photos_of_several_indices_are_named_by_their_share(tiny_model: Path, picture: Path, tmp_path: Path) -> None:
    # Similarities of whitened embeddings and of plain ones cannot be compared.
    own = load(tiny_model).encode_image([picture])
    useless = index_at(tmp_path / "useless", tiny_model, own, PUNO, Weights(weight=0.0))
    less_alike = own + 0.5 * np.roll(own, 1)
    useful = index_at(
        tmp_path / "useful", tiny_model, less_alike / np.linalg.norm(less_alike), PUNO, Weights(least_similarity=0.0)
    )
    first, second = located(tiny_model, picture, useless, useful).references
    assert (first.index, second.index) == (str(useful.folder), str(useless.folder))
    assert first.share == 1 and second.share == 0 and first.similarity < second.similarity


def test_evidence_is_a_mixture_around_its_photos() -> None:
    places = np.array([[0.0, 0.0], [0.0, 90.0]])
    evidence = Evidence(places, np.array([0.75, 0.25]), 8.0, 100.0)
    np.testing.assert_allclose(evidence.at(unit_vectors(places)), [6.0, 2.0])
    (aside,) = evidence.at(unit_vectors(np.array([[0.899322, 0.0]])))  # 100 km off: exp(-1/2)
    assert aside == pytest.approx(6.0 * np.exp(-0.5), rel=1e-3)


@pytest.mark.parametrize("wrong", [{"weight": -1.0}, {"least_similarity": 1.0}, {"width_km": 0.0}, {"sharpness": -1.0}])
def test_weights_outside_their_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Weights(**wrong)


@dataclasses.dataclass(frozen=True)
class Around:
    """Every photo was near a place, an hour before or after it was there."""

    place: np.ndarray
    fingerprint: str = "made"

    def of(self, path: str | None) -> list[Whereabouts]:
        return [Whereabouts(*self.place[0].tolist(), 1.0, 0.0, ("track",))]


def test_times_tell_apart_two_photos_that_look_alike(tiny_model: Path, picture: Path, tmp_path: Path) -> None:
    own = load(tiny_model).encode_image([picture])
    both = np.concatenate([PUNO, [[-33.87, 151.21]]])
    index = index_at(tmp_path / "two", tiny_model, np.repeat(own, 2, axis=0), both, Weights(weight=14.0))
    shares = []
    for known in (None, Around(PUNO), Around(both[1:])):
        answer = located(tiny_model, picture, index, whereabouts=known)
        assert answer.posterior is not None and answer.posterior.probabilities.sum() == pytest.approx(1.0)
        near = great_circle_km(answer.posterior.coordinates, PUNO) < 150
        shares.append(answer.posterior.probabilities[near].sum())
        assert len(answer.references) == 2
    assert 0.1 < shares[0] < 0.9 and shares[1] > 0.95 and shares[2] < 0.05


def test_photos_that_tell_nothing_leave_what_times_tell(tiny_model: Path, picture: Path, tmp_path: Path) -> None:
    own = load(tiny_model).encode_image([picture])
    everywhere = index_at(tmp_path / "any", tiny_model, own, PUNO, Weights(weight=5.0, width_km=1e7))
    plain = located(tiny_model, picture, whereabouts=Around(PUNO)).posterior
    given = located(tiny_model, picture, everywhere, whereabouts=Around(PUNO)).posterior
    assert plain is not None and given is not None
    logs = np.delete(given.log_probabilities, 50) - plain.log_probabilities  # 50: the place of the photo
    # One place more in a gallery of 50 takes a little of all, and much of a lone place near it.
    assert np.median(abs(logs[:50])) < 0.1 and abs(logs[50:]).max() < 0.1 and np.ptp(logs[50:]) < 1e-3

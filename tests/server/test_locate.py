"""POST /v1/locate: the answers of the library, whatever order and company photos come in."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from earthclip.geo.cells import cell_of
from earthclip.locating.evidence import Weights
from earthclip.locating.locator import load
from earthclip.models.config import Scope
from earthclip.outputs.drawing import to_answer
from earthclip.server.contract import Located, LocateForm
from tests.locating.test_evidence import index_at
from tests.outputs.schema import check_answer
from tests.server.conftest import photo_of
from tests.server.running import FORM, Running, form, running
from tests.tiny import write_tiny_model


def test_a_photo_is_answered_as_the_library_answers_it(
    server: Running, tiny_model: Path, photo: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo)
    (expected,) = load(tiny_model).locate([path], top_k=3)
    reply = server.locate(photo, top_k="3")
    assert reply.status == 200 and reply.json["model"] == "tiny"
    (answer,) = reply.json["answers"]
    assert answer["path"] is None and answer["model"] == "tiny"
    rows = [(row["latitude"], row["longitude"]) for row in answer["predictions"]]
    np.testing.assert_allclose(rows, expected.coordinates, atol=1e-6)
    probabilities = [row["probability"] for row in answer["predictions"]]
    np.testing.assert_allclose(probabilities, expected.probabilities, rtol=1e-4)


def test_many_at_a_time_do_not_mix(server: Running) -> None:
    photos = [photo_of(seed) for seed in range(24)]
    alone = [server.locate(photo, top_k="1").json["answers"][0] for photo in photos[:6]]
    with ThreadPoolExecutor(8) as clients:
        together = list(clients.map(lambda p: server.locate(p, top_k="1").json["answers"][0], photos))
    for one, other in zip(alone, together, strict=False):
        assert one["predictions"][0]["latitude"] == other["predictions"][0]["latitude"]
        assert one["predictions"][0]["probability"] == pytest.approx(other["predictions"][0]["probability"], rel=1e-4)
    sent_at_once = server.locate(*photos[:6], top_k="1").json["answers"]
    assert [a["predictions"][0]["latitude"] for a in sent_at_once] == [
        a["predictions"][0]["latitude"] for a in together[:6]
    ]


def test_different_questions_at_a_time_do_not_mix(server: Running, photo: bytes) -> None:
    with ThreadPoolExecutor(8) as clients:
        replies = list(
            clients.map(lambda k: server.locate(photo, top_k=str(k % 6 + 1), region=REGIONS[k % 2]), range(24))
        )
    for k, reply in enumerate(replies):
        (answer,) = reply.json["answers"]
        assert len(answer["predictions"]) == k % 6 + 1
        assert all((row["latitude"] >= 0) == (k % 2 == 0) for row in answer["predictions"])


REGIONS = ("0,-180,90,180", "-90,-180,-0.001,180")


def test_prior_and_least_confidence_are_the_library_s(
    server: Running, tiny_model: Path, photo: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo)
    (expected,) = load(tiny_model).locate([path], prior="land", min_confidence=1.0)
    (answer,) = server.locate(photo, prior="land", min_confidence="1").json["answers"]
    probabilities = [row["probability"] for row in answer["predictions"]]
    np.testing.assert_allclose(probabilities, expected.probabilities, rtol=1e-4)
    assert expected.abstained and answer["abstained"] is True
    assert "abstained" not in server.locate(photo).json["answers"][0]


def test_answers_keep_the_contract(server: Running, photo: bytes) -> None:
    replies = [
        server.locate(photo, b"not a picture", surface="1", region="-60,-90,60,90", min_confidence="1"),
        server.locate(photo, outlines="0"),
    ]
    for reply in replies:
        for answer in Located.model_validate(reply.json, extra="forbid").answers:
            check_answer(answer)
    assert replies[0].json["answers"][0]["credible"][0]["geometry"]["type"] == "MultiPolygon"
    assert replies[0].json["answers"][0]["warnings"][-1]["kind"] == "abstained"
    assert "geometry" not in replies[1].json["answers"][0]["credible"][0]


def test_a_bad_photo_among_good_ones_has_its_reason_in_its_place(server: Running, photo: bytes) -> None:
    first, second, third = server.locate(photo, b"not a picture", photo).json["answers"]
    assert first == third and len(first["predictions"]) == 5
    assert second["path"] is None and second["error"].startswith("photo 2: not a picture")


def test_surface_has_cells_where_their_outlines_are(server: Running, photo: bytes) -> None:
    (answer,) = server.locate(photo, surface="1").json["answers"]
    surface = answer["surface"]
    assert len(surface["cells"]) == len(surface["probabilities"]) == len(surface["polygons"]) > 0
    assert sum(surface["probabilities"]) == pytest.approx(1, abs=1e-2)
    assert surface["probabilities"] == sorted(surface["probabilities"], reverse=True)
    for cell, polygon in zip(surface["cells"], surface["polygons"], strict=True):
        longitude, latitude = np.mean(polygon, axis=0)
        if abs(latitude) < 60:  # near the poles the mean of the corners is not inside
            assert cell_of(np.array([[latitude, longitude]]), surface["level"])[0] == cell
    assert "surface" not in server.locate(photo).json["answers"][0]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"top_k": "0"}, "top_k is '0'; expected a whole number from 1 to 100"),
        ({"top_k": "51"}, "top_k is 51; expected 1 to 50"),
        ({"top_k": "NaN"}, "top_k is 'NaN'"),
        ({"top_k": "٣"}, "expected a whole number"),
        ({"top_k": ["1", "2"]}, "more than once"),
        ({"topk": "1"}, "unknown field 'topk'"),
        ({"surface": "perhaps"}, "surface is 'perhaps'; expected 1 or 0"),
        ({"prior": "sea"}, "prior is 'sea'; expected model or land"),
        ({"text_weight": "nan"}, "text_weight is 'nan'; expected a number from 0 to 1"),
        ({"min_confidence": "1.5"}, "min_confidence is '1.5'; expected a number from 0 to 1"),
        ({"region": ["Norway"] * 17}, "region: 17 of them, the limit is 16"),
        ({"region": "x" * 200_001}, "region: 200,001 characters, the limit is 200,000"),
        ({"text": "x" * 3000}, "the limit is 2,000"),
        ({"text": "snow"}, "has no words"),
        ({"photos": "text"}, "expected a file"),
    ],
)
def test_fields_that_cannot_be_used(server: Running, photo: bytes, fields: dict[str, str], says: str) -> None:
    reply = server.locate(photo, **fields)
    assert reply.status == 422 and says in reply.error


def test_neither_photo_nor_words(server: Running) -> None:
    assert "found neither" in server.locate(top_k="1").error
    assert "found neither" in server.locate(text="  ").error


def test_words_alone_are_refused_by_a_model_without(server: Running) -> None:
    reply = server.locate(text="snow-capped volcano")
    assert reply.status == 422 and "has no words" in reply.error


def test_a_region_is_never_a_path(server: Running, photo: bytes, tmp_path: Path) -> None:
    there = tmp_path / "there.geojson"
    there.write_text('{"type": "Polygon", "coordinates": [[[0, 0], [90, 0], [90, 60], [0, 60], [0, 0]]]}')
    for region in (str(there), "there.geojson", "../../etc/passwd", "~/x.gpkg", "a\\b"):
        reply = server.locate(photo, region=region)
        assert reply.status == 422 and reply.error.startswith("region: ") and "root:" not in reply.error


@pytest.mark.parametrize(
    "region",
    [
        "-60,-90,60,90",
        json.dumps({"type": "Polygon", "coordinates": [[[-90, -60], [90, -60], [90, 60], [-90, 60], [-90, -60]]]}),
    ],
)
def test_answers_lie_in_the_region(server: Running, photo: bytes, region: str) -> None:
    (answer,) = server.locate(photo, region=region, top_k="10").json["answers"]
    assert answer["region"]
    for row in answer["predictions"]:
        assert -60 <= row["latitude"] <= 60 and -90 <= row["longitude"] <= 90


@pytest.mark.parametrize(
    "region",
    [
        *("Atlantis", "1,2", "nan,0,1", "{", "{}", "[" * 9999, "{" * 9999, '{"type": "Polygon"}'),
        '{"type": "Point", "coordinates": [0, 0]}',
        '{"type": "Polygon", "coordinates": [[[NaN, 0], [1, 0], [1, 1], [NaN, 0]]]}',
    ],
)
def test_regions_that_are_none(server: Running, photo: bytes, region: str) -> None:
    reply = server.locate(photo, region=region)
    assert reply.status == 422 and reply.error.startswith("region: ")


def test_nothing_of_the_photo_is_logged(server: Running, photo: bytes) -> None:
    secret = "holiday-at-home.jpg"
    reply = server.ask("POST", f"/v1/locate?who={secret}", form(photo, name=secret), FORM)
    line = server.line_of(reply)
    log = server.log.read_text()
    assert secret not in log and "who=" not in log
    assert set(line) == {"time", "level", "event", "id", "method", "path", "status", "ms", "pictures"}
    assert (line["method"], line["path"], line["status"], line["pictures"]) == ("POST", "/v1/locate", 200, 1)


def test_with_an_index_answers_name_its_photos_without_their_folders(
    tiny_model: Path, photo: bytes, tmp_path: Path
) -> None:
    own = load(tiny_model).encode_image([photo])
    index_at(tmp_path / "library", tiny_model, own, np.array([[-15.84, -70.02]]), Weights(weight=20.0))
    with running(tiny_model, tmp_path / "server", "--index", str(tmp_path / "library")) as with_index:
        reply = with_index.locate(photo)
    Located.model_validate(reply.json)
    (answer,) = reply.json["answers"]
    (reference,) = answer["references"]
    assert (reference["index"], reference["id"], reference["share"]) == ("library", "photo 0", 1.0)
    assert "path" not in reference and str(tmp_path) not in reply.body.decode()
    best = answer["predictions"][0]
    assert (best["latitude"], best["longitude"]) == pytest.approx((-15.84, -70.02), abs=0.2)


def test_a_photo_out_of_scope_keeps_the_contract(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "scoped", scope=Scope("a bright picture", 0.5))
    (answer,) = load(model).locate([Image.new("RGB", (40, 30))])
    described = to_answer(answer, surface=True)
    check_answer(described)
    assert (described["in_scope"], described["abstained"], described["predictions"]) == (False, True, [])
    assert described["advice"] == "This does not look like a bright picture, which is all that 'tiny' can locate."
    assert LocateForm.of([("photos", b"x"), ("force_answer", "1")]).question().force_answer

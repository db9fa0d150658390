"""A picture's scores at every place: blocks of float16 against the whole product in float64."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from earthclip.locating import gallery
from earthclip.locating.gallery import Gallery, score, widen
from earthclip.locating.posterior import Posterior


def unit(rng: np.random.Generator, m: int, d: int) -> np.ndarray:
    rows = rng.normal(size=(m, d))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def scores(scaled: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    products = np.empty((len(scaled), len(embeddings)), np.float32)
    score(scaled, embeddings, products)
    return products


@given(st.integers(1, 400), st.integers(1, 7), st.integers(0, 100), st.floats(0.1, 300))
def test_the_same_as_the_whole_product(m: int, queries: int, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    embeddings = unit(rng, m, 16).astype(np.float16)
    scaled = (scale * unit(rng, queries, 16)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("earthclip.locating.gallery.BLOCK", 32 * 16)
        found = scores(scaled, embeddings)
    products = scaled.astype(np.float64) @ embeddings.astype(np.float64).T
    assert np.abs(found - products).max() < 1e-6 * scale


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_equal_places_come_in_the_gallerys_order(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earthclip.locating.gallery.BLOCK", 64)
    monkeypatch.setattr("earthclip.locating.gallery._ALONE", 0)
    monkeypatch.setattr("earthclip.locating.gallery.usable_processors", lambda: threads)
    rows = unit(np.random.default_rng(0), 10, 8).astype(np.float16)
    places = Gallery(np.zeros((60, 2)), rows[np.arange(60) % 10], "")
    logits = places.logits(rows[3:4].astype(np.float32), 0.0)
    best = Posterior.from_logits(places.coordinates, logits[0]).best(6)
    assert best.tolist() == [3, 13, 23, 33, 43, 53]
    assert np.ptp(logits[0, best]) == 0


def test_large_scores_do_not_overflow() -> None:
    embeddings = unit(np.random.default_rng(1), 5000, 8).astype(np.float16)
    (logits,) = scores(np.float32(1e6) * embeddings[4321:4322].astype(np.float32), embeddings)
    places = np.zeros((5000, 2))
    posterior = Posterior.from_logits(places, logits)
    assert posterior.best(1).tolist() == [4321]
    assert posterior.top_k(2)[1].tolist() == [1.0, 0.0]


def test_no_query_has_no_score() -> None:
    embeddings = unit(np.random.default_rng(1), 50, 8).astype(np.float16)
    assert scores(np.empty((0, 8), np.float32), embeddings).shape == (0, 50)


def test_a_mapped_gallery_is_read_and_not_copied(tmp_path: object) -> None:
    rows = unit(np.random.default_rng(2), 3000, 4).astype(np.float16)
    path = f"{tmp_path}/rows.npy"
    np.save(path, rows)
    mapped = np.load(path, mmap_mode="r")
    queries = rows[[5, 2999]].astype(np.float32) * 50
    assert np.array_equal(scores(queries, mapped), scores(queries, rows))


def test_every_finite_float16_is_taken_exactly() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)].reshape(-1, 8)
    expected = finite.astype(np.float32)
    assert np.array_equal(scores(np.eye(8, dtype=np.float32), finite).T, expected)
    wide = np.empty(finite.shape, np.float32)
    widen(finite, wide)
    assert np.array_equal(wide.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("queries", [1, 2, 3, 16, 33])
def test_the_same_places_have_the_same_scores_wherever_they_stand(
    queries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earthclip.locating.gallery.BLOCK", 512 * 61)
    rng = np.random.default_rng(queries)
    rows = unit(rng, 7, 512).astype(np.float16)
    found = scores(unit(rng, queries, 512).astype(np.float32), rows[np.arange(1000) % 7])
    for place in range(7):
        assert np.ptp(found[:, place::7], axis=1).max() == 0


def graph_of(name: str) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info("places", TensorProto.FLOAT16, ["n", "d"])]
    nodes = [helper.make_node("Cast", ["places"], ["wide"], to=TensorProto.FLOAT)]
    output = helper.make_tensor_value_info("wide", TensorProto.FLOAT, ["n", "d"])
    if name == "product":
        inputs.append(helper.make_tensor_value_info("queries", TensorProto.FLOAT, ["d", "b"]))
        nodes.append(helper.make_node("MatMul", ["wide", "queries"], ["products"]))
        output = helper.make_tensor_value_info("products", TensorProto.FLOAT, ["n", "b"])
    graph = helper.make_graph(nodes, name, inputs, [output])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_the_graphs_are_a_conversion_and_a_product() -> None:
    assert graph_of("conversion").SerializeToString() == gallery.CONVERSION
    assert graph_of("product").SerializeToString() == gallery.PRODUCT

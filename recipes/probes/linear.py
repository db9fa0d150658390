"""How well a linear model reads a task out of features, on blocks of the Earth it was not fitted on.

Neighbouring places share their climate and country, so folds of single places would measure memory. Places are held
out by whole HEALPix cells; one more fold of cells chooses the strength of the penalty, and is never scored.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64, Shaped

from earthclip.errors import InputError
from earthclip.geo.cells import cell_of
from recipes.probes import need, single_thread
from recipes.probes.encodings import Encoding
from recipes.probes.tasks import Task

BLOCK_LEVEL = 4  # cells 408 km wide, 3072 of them
FOLDS = 5
_RIDGE_PENALTIES = (1.0, 10.0, 100.0, 1e3, 1e4)
_LOGISTIC_PENALTIES = (1.0, 10.0, 100.0, 1e3)  # 1 / C; the loss is a sum over places, as in ridge


@dataclass(frozen=True)
class Score:
    """Mean and spread (standard deviation) over folds of macro accuracy or R², and what they were taken over."""

    task: str
    encoding: str
    metric: str
    mean: float
    spread: float
    folds: int
    points: int
    classes: int | None  # None for values
    features: int
    penalty: float


def blocked_folds(
    coordinates: Float[np.ndarray, "n 2"], folds: int, level: int = BLOCK_LEVEL, seed: int = 0
) -> Int64[np.ndarray, " n"]:
    """The fold, 0 to ``folds`` - 1, of each place: all places of a HEALPix cell in one, folds of similar size.

    Raises InputError for fewer than two folds, and for places that lie in fewer cells than that.
    """
    cells, member, sizes = np.unique(cell_of(coordinates, level), return_inverse=True, return_counts=True)
    if folds < 2 or len(cells) < folds:
        raise InputError(
            f"{len(coordinates)} places lie in {len(cells)} blocks of level {level}; expected at least 2 folds and a "
            f"block for each of {folds}; use more places, or a deeper level"
        )
    shuffled = np.random.default_rng(seed).permutation(len(cells))
    filled = np.zeros(folds, dtype=np.int64)
    fold_of = np.empty(len(cells), dtype=np.int64)
    for cell in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of[cell] = np.argmin(filled)
        filled[fold_of[cell]] += sizes[cell]
    return fold_of[member]


def probe(
    task: Task, encodings: Iterable[Encoding], folds: int = FOLDS, level: int = BLOCK_LEVEL, seed: int = 0
) -> Iterator[Score]:
    """One score for each encoding, all on the same places and folds.

    A class must lie in as many blocks as there are folds, the choosing one counted, or its places are left out.
    Raises InputError when too few places or classes are left, or for features that are not finite.
    """
    task = _answerable(task, folds + 1, level)
    fold = blocked_folds(task.coordinates, folds + 1, level, seed)
    for encoding in encodings:
        yield _score(task, encoding, fold, folds)


def format_scores(scores: Sequence[Score], format: str) -> str:
    """The scores for people ("table": Markdown, a row for each encoding) or for programs ("json": one line)."""
    if format == "json":
        return json.dumps([asdict(score) for score in scores])
    tasks = list(dict.fromkeys(score.task for score in scores))
    encodings = list(dict.fromkeys(score.encoding for score in scores))
    cells = {(score.encoding, score.task): score for score in scores}
    about = [next(score for score in scores if score.task == task) for task in tasks]
    heads = [f"{score.task}, {_metric(score)}" for score in about]
    lines = [
        "| features | numbers | " + " | ".join(heads) + " |",
        "|---|---:|" + "---:|" * len(tasks),
    ]
    for encoding in encodings:
        row = [cells[encoding, task] for task in tasks]
        figures = " | ".join(f"{score.mean:.3f} ± {score.spread:.3f}" for score in row)
        lines.append(f"| {encoding} | {row[0].features} | {figures} |")
    return "\n".join(lines)


def _metric(score: Score) -> str:
    return score.metric if score.classes is None else f"{score.metric} of {score.classes}"


def _answerable(task: Task, folds: int, level: int) -> Task:
    if task.kind == "values":
        return task
    pairs = np.unique(np.stack([task.target.astype(np.int64), cell_of(task.coordinates, level)]), axis=1)
    classes, blocks = np.unique(pairs[0], return_counts=True)
    kept = classes[blocks >= folds]
    if len(kept) < 2:
        raise InputError(
            f"task {task.name}: {len(kept)} of {len(classes)} classes lie in the {folds} blocks that as many folds "
            "need, expected at least 2; use more places"
        )
    inside = np.isin(task.target, kept)
    return Task(task.name, task.kind, task.coordinates[inside], task.target[inside])


def _score(task: Task, encoding: Encoding, fold: Int64[np.ndarray, " n"], folds: int) -> Score:
    features = np.asarray(encoding.encode(task.coordinates))
    if features.ndim != 2 or len(features) != len(task.coordinates) or not np.isfinite(features).all():
        raise InputError(
            f"{encoding.name}: features of {len(task.coordinates)} places have shape {list(features.shape)} or are "
            "not finite; expected a row of finite numbers for each"
        )
    classes = task.kind == "classes"
    penalties = _LOGISTIC_PENALTIES if classes else _RIDGE_PENALTIES
    fit, measure = (_logistic, _macro_accuracy) if classes else (_ridge, _r2)
    choosing = fold == folds
    penalty = max(penalties, key=lambda penalty: measure(*_held_out(fit, penalty, features, task.target, choosing)))
    results = np.array(
        [measure(*_held_out(fit, penalty, features, task.target, fold == k)) for k in range(folds)], dtype=np.float64
    )
    return Score(
        task=task.name,
        encoding=encoding.name,
        metric="macro accuracy" if classes else "R²",
        mean=float(results.mean()),
        spread=float(results.std()),
        folds=folds,
        points=len(features),
        classes=len(np.unique(task.target)) if classes else None,
        features=features.shape[1],
        penalty=penalty,
    )


def _held_out(
    fit: Callable[[float], Any],
    penalty: float,
    features: Float[np.ndarray, "n d"],
    target: Shaped[np.ndarray, " n"],
    tested: Bool[np.ndarray, " n"],
) -> tuple[Shaped[np.ndarray, " t"], Shaped[np.ndarray, " t"]]:
    """Truth and prediction of the tested places, by a model fitted to the others."""
    scaler = need("sklearn.preprocessing", "scikit-learn").StandardScaler().fit(features[~tested])
    scaled = scaler.transform(features).astype(np.float32)
    model = fit(penalty)
    with single_thread(), warnings.catch_warnings():
        # under weak penalties the optimum lies far beyond where the accuracy stops changing
        warnings.simplefilter("ignore", need("sklearn.exceptions", "scikit-learn").ConvergenceWarning)
        model.fit(scaled[~tested], target[~tested])
    seen = np.isin(target, target[~tested]) if target.dtype.kind == "i" else np.ones(len(target), dtype=bool)
    asked = tested & seen  # what a model never saw, no feature can tell
    return target[asked], np.asarray(model.predict(scaled[asked]))


def _logistic(penalty: float) -> Any:
    maker = need("sklearn.linear_model", "scikit-learn").LogisticRegression
    # balanced, since every class counts alike in the score
    return maker(C=1.0 / penalty, class_weight="balanced", max_iter=200, tol=1e-3)


def _ridge(penalty: float) -> Any:
    return need("sklearn.linear_model", "scikit-learn").Ridge(alpha=penalty)


def _macro_accuracy(truth: Int64[np.ndarray, " t"], found: Int64[np.ndarray, " t"]) -> float:
    return float(np.mean([(found[truth == label] == label).mean() for label in np.unique(truth)]))


def _r2(truth: Float[np.ndarray, " t"], found: Float[np.ndarray, " t"]) -> float:
    return float(1.0 - ((truth - found) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())

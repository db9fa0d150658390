"""What an index of photos brings: of views of one imagery, some are references with known places, others questions.

    python -m benchmarks.photo_index_places natural-earth [IMAGERY ...] [--references 2000] [--views 500] [--json FILE]

For each imagery, weights are fitted on views that are neither references nor questions, as `earthclip model calibrate
--index` does, for an index of the same imagery and for one of another (`bmng`). No question lies within 50 km of a
reference. Half-widths are 300 to 1,500 km.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.image_index import embeddings
from earthclip import Locator, load
from earthclip.datasets.photos import FileStore, StoredPhotos
from earthclip.evaluation.index_fit import Asked, fit_index
from earthclip.evaluation.leave_out import LeaveOut, with_weights
from earthclip.geo.sphere import great_circle_km
from earthclip.locating.evidence import CANDIDATES, evidence_of
from earthclip.locating.index_files import About, PhotoRecord, append
from earthclip.locating.photo_index import PhotoIndex, fingerprint_of, open_index
from earthclip.locating.question import Question
from earthclip.locating.ranking import Ranking
from earthclip.metrics import Report

APART_KM = 50.0
OTHER = "bmng"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("imagery", nargs="+")
    parser.add_argument("--references", type=int, default=2000)
    parser.add_argument("--views", type=int, default=500)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    locator, table = load("orbit"), {}
    with tempfile.TemporaryDirectory() as folder:
        other = index_of(Path(folder) / "other", locator, *embeddings(locator, OTHER, options.references, 1))
        print("| imagery | | within 200 km | within 750 km | median |\n|---|---|---:|---:|---:|")
        for name in options.imagery:
            references, places = embeddings(locator, name, options.references, 1)
            index = index_of(Path(folder) / name, locator, references, places)
            views, truths = embeddings(locator, name, int(2.5 * options.views), 2)
            apart = np.array([great_circle_km(truth[None], places).min() > APART_KM for truth in truths])
            views, truths = views[apart], truths[apart]
            table[name] = measured(
                locator, {"with index": index, f"index of {OTHER}": other}, views, truths, options.views
            )
            for how, report in table[name].items():
                shares = [f"{100 * report[km]:.1f} %" for km in ("200", "750")]
                print(f"| {name} | {how} | {' | '.join(shares)} | {report['median_km']:.0f} km |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(table, indent=1))


def index_of(folder: Path, locator: Locator, rows: np.ndarray, places: np.ndarray) -> PhotoIndex:
    """An index of views that have no files."""
    folder.mkdir()
    about = About(locator.name, fingerprint_of(locator.folder), rows.shape[1], complete=True)
    append(folder, about, [PhotoRecord("views", str(row), str(row)) for row in range(len(rows))], rows, places)
    return open_index(folder)


def measured(
    locator: Locator, indices: dict[str, PhotoIndex], views: np.ndarray, truths: np.ndarray, n: int
) -> dict[str, dict[str, float]]:
    """Accuracy of the model alone and with each index, on the first n views; the weights are fitted on the others."""
    none = StoredPhotos("none", [], np.empty((0, 2)), np.empty(0, np.int64), FileStore(Path(), []))
    ranking = Ranking(Question(), locator.config, locator.gallery, locator.encode_location)
    asked, given = slice(n), slice(n, 2 * n)
    said = {"model alone": [None] * n}
    for how, index in indices.items():
        candidates = index.nearest(views[given], CANDIDATES)
        fitted = fit_index(locator, LeaveOut(index, none), Asked(views[given], truths[given], candidates), "views")
        used = with_weights(index, fitted.weights)
        said[how] = [evidence_of(near, index.coordinates, used.weights) for near in used.search(views[asked], [])]
    reports = {}
    for how, evidence in said.items():
        answers = zip(views[asked], evidence, strict=True)
        best = [ranking.posterior_of(view, [one] if one else []).top_k(1)[0][0] for view, one in answers]
        report = Report.from_errors(great_circle_km(np.stack(best), truths[asked]))
        reports[how] = {**report.accuracy, "median_km": report.median_km}
    return reports


if __name__ == "__main__":
    main()

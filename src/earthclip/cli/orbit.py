"""`earthclip orbit`: views of the Earth from above, their imagery, and the built-in model's figures."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def orbit() -> None:
    """Views of the Earth from above: render test sets, fetch imagery, measure a model for its card."""


@orbit.command()
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", required=True, help="Folder of the test set.")
@click.option("-n", "count", default=500, show_default=True, help="Number of views.")
@click.option("--source", default="bmng", show_default=True, metavar="NAME", help="Imagery; earthclip orbit imagery.")
@click.option("--size", default=256, show_default=True, help="Pixels across a picture.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same cameras for every source.")
@click.option("--min-half-width-km", "low", default=150.0, show_default=True)
@click.option("--max-half-width-km", "high", default=1500.0, show_default=True)
@click.option("--force", is_flag=True, help="Replace a test set that stands there.")
def render(out: Path, count: int, source: str, size: int, seed: int, low: float, high: float, force: bool) -> None:
    """Write views as PNGs and a manifest.csv (IMG_ID, LAT, LON, ...): for earthclip evaluate, and to look at."""
    from earthclip.orbit.testset import write_test_set

    manifest = write_test_set(out, n=count, source=source, size=size, seed=seed, half_width_km=(low, high), force=force)
    click.echo(f"{manifest}: {count} views of {source}")


@orbit.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Bring the imagery NAME to this machine, its SHA-256 checked."""
    from earthclip.orbit.fetch import fetch as bring

    click.echo(bring(name))


@orbit.command()
def imagery() -> None:
    """List the imagery: its role, package, credit and licence."""
    from earthclip.training.rendering.imagery import IMAGERY

    for item in IMAGERY.values():
        click.echo(f"{item.name:20} {item.role:11} {item.package} {item.version}: {item.credit} ({item.licence})")


@orbit.command()
@click.argument("model")
@click.option("-n", "count", default=1000, show_default=True, help="Views of each imagery in 150-300 and 300-1500 km.")
@click.option("--imagery", "names", multiple=True, metavar="NAME", help="Only this; may be repeated.")
@click.option("--test", is_flag=True, help="Read the test imagery too: once, for a model that is final.")
@click.option("--write", is_flag=True, help="Write the figures into the model folder: config.json and README.md.")
def card(model: str, count: int, names: tuple[str, ...], test: bool, write: bool) -> None:
    """Measure MODEL on views of each imagery, half-widths 150-1500 km, and print the card's table."""
    from earthclip.errors import InputError
    from earthclip.evaluation.card import measure, table, write_card
    from earthclip.locating.locator import load
    from earthclip.training.rendering.imagery import IMAGERY, imagery_path

    if count < 2:
        raise InputError(f"-n must be at least 2, found {count}")
    if held := [name for name in names if not test and name in IMAGERY and IMAGERY[name].role == "test"]:
        raise InputError(f"'{held[0]}' is test imagery, read once for a model that is final; say so with --test")
    wanted = names or [item.name for item in IMAGERY.values() if test or item.role != "test"]
    for name in wanted:
        imagery_path(name)  # all that is missing is said before minutes of work, not after
    locator = load(model)
    if write and "views_drawn" not in locator.config.provenance:
        raise InputError(f"{locator.folder.path}: --write is for model folders that earthclip export made")
    rows = measure(locator, count, wanted, say=lambda text: click.echo(text, err=True))
    click.echo(table(rows))
    if write:
        click.echo(f"wrote {write_card(locator.folder, rows)}", err=True)


@orbit.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--run", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the run.  [default: runs/NAME]")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="DIR", required=True, help="The model folder.")
@click.option("-n", "count", default=1000, show_default=True, help="Views the card is measured on, as in card.")
@click.option("--imagery", "names", multiple=True, metavar="NAME", help="Measure on this only; may be repeated.")
@click.option("--force", is_flag=True, help="Replace a model folder that stands there.")
@click.pass_context
def build(
    context: click.Context,
    config: Path,
    run: Path | None,
    out: Path,
    count: int,
    names: tuple[str, ...],
    force: bool,
) -> None:
    """Everything at once: train as CONFIG.toml says (or go on with a killed run), export, measure, write the card.

    Where CONFIG.toml starts from another run that is not there, that one is trained first, by the file beside
    CONFIG.toml that has its name, and so on back.

    The card needs the imagery of every publisher: earthclip orbit imagery, earthclip orbit fetch NAME.
    """
    from earthclip.cli.export import export
    from earthclip.files import refuse_existing
    from earthclip.training.config import read_training_config
    from earthclip.training.rendering.imagery import IMAGERY, imagery_path

    if not force:
        refuse_existing(out / "config.json")
    for name in names or IMAGERY:
        imagery_path(name)
    run = run or Path("runs") / read_training_config(config).name
    _train_to_the_end(context, config, run)
    context.invoke(export, run=run, out=out, force=force)
    context.invoke(card, model=f"local-dir:{out}", count=count, names=names, test=True, write=True)


def _train_to_the_end(context: click.Context, config: Path, run: Path) -> None:
    from earthclip.cli.train import train
    from earthclip.training.checkpoint import CONFIG, has_checkpoint
    from earthclip.training.config import read_training_config

    begun = has_checkpoint(run)
    init = read_training_config(config).init
    if init and not begun:
        before = Path(init)
        beside = config.with_name(f"{before.name}.toml")  # where the committed configurations stand
        is_name = len(before.parts) == 1 and not before.exists()  # of a model
        ours = not before.exists() or (before / CONFIG).is_file()  # a run, begun or not
        if ours and not is_name and before != run and beside.is_file():
            _train_to_the_end(context, beside, before)
    # Whatever else init may be (a model, a release, a run made elsewhere) is there, or train says what is not.
    context.invoke(train, config=config, out=run, resume=begun)

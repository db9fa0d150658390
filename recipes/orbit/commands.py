"""The commands of ``python -m recipes.orbit``: from imagery to a model folder with its card."""

from __future__ import annotations

from pathlib import Path

import click

_CONFIGS = Path(__file__).parent / "configs"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def orbit() -> None:
    """Make the built-in model orbit: fetch imagery, render views of the Earth from above, train, measure.

    Needs the optional dependencies of earthclip[train].
    """


@orbit.command()
@click.argument("config", type=click.Path(path_type=Path), metavar="CONFIG.toml")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the run.  [default: runs/NAME]")
@click.option("--resume", is_flag=True, help="Continue from the checkpoint in the folder of the run.")
def train(config: Path, out: Path | None, resume: bool) -> None:
    """Train a model on rendered views with the settings in CONFIG.toml.

    Progress, validation and checkpoints go to the folder of the run. An interrupted run continues with --resume and
    ends in the same weights. Ctrl-C finishes the current step and keeps a checkpoint. For several devices, replace
    python by torchrun --nproc-per-node=N.

    \b
    Example:
    python -m recipes.orbit train recipes/orbit/configs/orbit-base.toml --out runs/orbit-base
    """
    from recipes.orbit.build import train_views
    from recipes.orbit.config import read_orbit_config

    wanted = read_orbit_config(config)
    train_views(wanted, out or Path("runs") / wanted.name, resume=resume, say=click.echo)


@orbit.command()
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="DIR", required=True, help="Model folder.")
@click.option(
    "--licence", "--license", metavar="SPDX", help="Licence of the model, needed if the configuration names none."
)
@click.option("--spacing-km", default=60.0, show_default=True, help="Distance between candidate places.")
@click.option("--turns/--no-turns", default=True, show_default=True, help="Average over the four quarter turns.")
@click.option(
    "--zoom", default=0.8, show_default=True, help="Average also over a centre crop of this width; 1 turns it off."
)
@click.option("--half/--float32", default=True, show_default=True, help="Number format to store the weights in.")
@click.option("--force", is_flag=True, help="Replace an existing model folder.")
def export(
    run: Path, out: Path, licence: str | None, spacing_km: float, turns: bool, zoom: float, half: bool, force: bool
) -> None:
    """Export a run as a model folder that runs without torch.

    RUN is a folder that the command train wrote. Use the model with earthclip locate --model DIR.

    \b
    Example:
    python -m recipes.orbit export runs/orbit -o models/orbit
    """
    from earthclip.files import refuse_existing
    from recipes.orbit.release import export_orbit

    if not force:
        refuse_existing(out / "config.json")
    exported = export_orbit(run, out, licence=licence, spacing_km=spacing_km, turns=turns, zoom=zoom, half=half)
    click.echo(f"{out}: {exported.name}, {sum(exported.files.values()) / 1e6:.1f} MB to run")


@orbit.command()
@click.argument("config", type=click.Path(path_type=Path), metavar="CONFIG.toml")
@click.option("--run", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the run.  [default: runs/NAME]")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="DIR", required=True, help="Model folder.")
@click.option("-n", "count", default=1000, show_default=True, help="Views per imagery and size class, for the card.")
@click.option("--imagery", "names", multiple=True, metavar="NAME", help="Measure on this imagery only. Repeatable.")
@click.option("--force", is_flag=True, help="Replace an existing model folder.")
def build(config: Path, run: Path | None, out: Path, count: int, names: tuple[str, ...], force: bool) -> None:
    """Train, export, measure and write the model card.

    The settings of the run are in CONFIG.toml. An interrupted run is continued. If the run starts from another run
    (init) that does not exist, that one is trained first, with the file of its name beside CONFIG.toml. That run may
    start from another in the same way.

    The card needs all imagery: list it with the command imagery, and download it with the command fetch.

    \b
    Example:
    python -m recipes.orbit build recipes/orbit/configs/orbit.toml -o models/orbit
    """
    from earthclip.files import refuse_existing
    from recipes.orbit.build import train_to_the_end
    from recipes.orbit.config import read_orbit_config
    from recipes.orbit.imagery import IMAGERY, imagery_path
    from recipes.orbit.release import export_orbit

    if not force:
        refuse_existing(out / "config.json")
    for name in names or IMAGERY:
        imagery_path(name)
    run = run or Path("runs") / read_orbit_config(config).name
    train_to_the_end(config, run, click.echo)
    exported = export_orbit(run, out, say=click.echo)
    click.echo(f"{out}: {exported.name}, {sum(exported.files.values()) / 1e6:.1f} MB to run")
    _card(f"local-dir:{out}", count, names, test=True, write=True)


@orbit.command()
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", required=True, help="Folder of the test set.")
@click.option("-n", "count", default=500, show_default=True, help="Number of views.")
@click.option("--source", default="bmng", show_default=True, metavar="NAME", help="Imagery to render.")
@click.option("--size", default=256, show_default=True, help="Width and height of a view, in pixels.")
@click.option("--seed", default=0, show_default=True, help="Random seed of the cameras, whatever the imagery.")
@click.option("--min-half-width-km", "low", default=150.0, show_default=True, help="Smallest half-width of a view.")
@click.option("--max-half-width-km", "high", default=1500.0, show_default=True, help="Largest half-width of a view.")
@click.option("--force", is_flag=True, help="Replace an existing test set.")
def render(out: Path, count: int, source: str, size: int, seed: int, low: float, high: float, force: bool) -> None:
    """Render a test set of views.

    DIR gets the views as PNG files, and their places in manifest.csv (IMG_ID, LAT, LON, ...).

    \b
    Example:
    python -m recipes.orbit render --out views -n 200 --source natural-earth
    """
    from recipes.orbit.testset import write_test_set

    manifest = write_test_set(out, n=count, source=source, size=size, seed=seed, half_width_km=(low, high), force=force)
    click.echo(f"{manifest}: {count} views of {source}")


@orbit.command()
@click.argument("model")
@click.option("-n", "count", default=1000, show_default=True, help="Views per imagery and size class.")
@click.option("--imagery", "names", multiple=True, metavar="NAME", help="Measure on this imagery only. Repeatable.")
@click.option("--test", is_flag=True, help="Measure on test imagery too. Meant for a finished model, once.")
@click.option("--write", is_flag=True, help="Write the figures to config.json and README.md of the model folder.")
def card(model: str, count: int, names: tuple[str, ...], test: bool, write: bool) -> None:
    """Print the accuracy table of a model card.

    MODEL is measured on views of each imagery. The size classes are half-widths of 150 to 300 km and of 300 to 1500 km.

    \b
    Example:
    python -m recipes.orbit card orbit -n 100 --imagery bmng
    """
    _card(model, count, names, test=test, write=write)


@orbit.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--epochs", default=9, show_default=True, help="Passes over the views and photos.")
@click.option("--seed", default=0, show_default=True, help="Random seed.")
def scope(folder: Path, epochs: int, seed: int) -> None:
    """Teach the model folder DIR to tell views from above from other pictures.

    The head is written into the folder as scope.onnx, its threshold and figures into config.json. All imagery must have
    been fetched. Photos are downloaded out of the Debian packages in photos.toml, 1 GB.

    \b
    Example:
    python -m recipes.orbit scope models/orbit
    """
    from recipes.orbit.scope import add_scope

    if epochs < 1:
        raise click.UsageError(f"--epochs must be at least 1, found {epochs}")
    found = add_scope(folder, epochs=epochs, seed=seed, say=click.echo)
    assert found.scope is not None
    for what in ("false_alarms", "flagged"):
        for name, share in found.scope.measured[what].items():
            click.echo(f"{what.replace('_', ' ')}: {100 * share:5.1f} %  {name}")


@orbit.command()
@click.argument("out", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=_CONFIGS / "orbit.toml",
    metavar="FILE",
    help="Configuration that MODEL was trained by.",
)
@click.option("--model", default="orbit", show_default=True, metavar="MODEL", help="Finished model.")
def restore(out: Path, config: Path, model: str) -> None:
    """Write a finished model to DIR with weights to train on.

    \b
    Example:
    python -m recipes.orbit restore runs/orbit-restored
    """
    from earthclip.files import refuse_existing
    from earthclip.models.sources import resolve
    from recipes.orbit.config import read_orbit_config
    from recipes.orbit.restore import restore as written

    refuse_existing(out)
    written(resolve(model).path, read_orbit_config(config), out)
    click.echo(f"{out}: weights of {model}")


@orbit.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Download the imagery NAME and check its SHA-256.

    \b
    Example:
    python -m recipes.orbit fetch natural-earth
    """
    from recipes.orbit.fetch import fetch as download

    click.echo(download(name))


@orbit.command()
def imagery() -> None:
    """List the imagery: name, role, package, credit and licence."""
    from recipes.orbit.imagery import IMAGERY

    for item in IMAGERY.values():
        click.echo(f"{item.name:20} {item.role:11} {item.package} {item.version}: {item.credit} ({item.licence})")


def _card(model: str, count: int, names: tuple[str, ...], *, test: bool, write: bool) -> None:
    from earthclip import load
    from earthclip.errors import InputError
    from recipes.orbit.card import measure, table, write_card
    from recipes.orbit.imagery import IMAGERY, imagery_path

    if count < 2:
        raise InputError(f"-n must be at least 2, found {count}")
    if held := [name for name in names if not test and name in IMAGERY and IMAGERY[name].role == "test"]:
        raise InputError(f"'{held[0]}' is test imagery, read once for a model that is final; say so with --test")
    wanted = names or [item.name for item in IMAGERY.values() if test or item.role != "test"]
    for name in wanted:
        imagery_path(name)  # all that is missing is said before minutes of work, not after
    locator = load(model)
    if write and "views_drawn" not in locator.config.provenance:
        raise InputError(f"{locator.folder.path}: --write is for model folders that earthclip model export made")
    rows = measure(locator, count, wanted, say=lambda text: click.echo(text, err=True))
    click.echo(table(rows))
    if write:
        click.echo(f"wrote {write_card(locator.folder, rows)}", err=True)

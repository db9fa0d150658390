"""``earthclip train CONFIG``: a training run from a TOML file, which can be resumed after any interruption."""

from __future__ import annotations

from pathlib import Path

import click

from earthclip.cli import options
from earthclip.cli.status import note, quiet


@options.command(
    examples="""
    earthclip train configs/geoclip.toml
    earthclip train configs/geoclip.toml --out runs/second --resume
    """
)
@click.argument("config", type=options.path_type(), metavar="CONFIG")
@options.out_folder(required=False, help="Folder of the run. The default is runs/NAME.")
@options.resume(help="Continue an interrupted run from its last checkpoint.")
def train(config: Path, out: Path | None, resume: bool) -> None:
    """Train a model with the settings in CONFIG, a TOML file.

    CONFIG says which photos or features to train on. Rendered views are trained by python -m recipes.orbit train.

    Writes progress, validation results and checkpoints to the folder of the run. Ctrl-C saves a checkpoint first. A
    run that was interrupted and resumed ends with the same weights. Use several devices with torchrun
    --nproc-per-node=N -m earthclip train CONFIG. Make a model of the run with `earthclip model export`.
    """
    from earthclip.training import open_source, read_training_config
    from earthclip.training import train as run
    from earthclip.training.run_folder import check_folder

    say = note if quiet() else click.echo
    wanted = read_training_config(config)
    folder = out or Path("runs") / wanted.name
    check_folder(folder, resume, type(wanted), lambda text: None)  # before minutes of opening photos
    run(wanted, open_source(wanted, say), folder=folder, resume=resume, say=say)

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

    Writes progress, validation results and checkpoints to the folder of the run. Ctrl-C saves a checkpoint first. A
    run that was interrupted and resumed ends with the same weights. Use several devices with torchrun
    --nproc-per-node=N -m earthclip train CONFIG. Make a model of the run with `earthclip model export`.
    """
    from earthclip.training.config import read_training_config
    from earthclip.training.loop import train as run

    wanted = read_training_config(config)
    run(wanted, out or Path("runs") / wanted.name, resume=resume, say=note if quiet() else click.echo)

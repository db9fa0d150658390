"""`earthclip train`: a training run from a TOML file, resumable after any kill."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the run.  [default: runs/NAME]")
@click.option("--resume", is_flag=True, help="Go on from the folder's checkpoint.")
def train(config: Path, out: Path | None, resume: bool) -> None:
    """Train a model as CONFIG.toml says; progress, validation and checkpoints go to the run's folder.

    A killed run goes on with --resume and ends in the same weights; Ctrl-C keeps a checkpoint first. On many devices:
    torchrun --nproc-per-node=N -m earthclip train CONFIG.toml. earthclip export makes a model folder of the run.
    """
    from earthclip.training.config import read_training_config
    from earthclip.training.loop import train as run

    wanted = read_training_config(config)
    run(wanted, out or Path("runs") / wanted.name, resume=resume, say=click.echo)

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
    from earthclip.training import open_source, read_training_config
    from earthclip.training import train as run
    from earthclip.training.run_folder import check_folder

    wanted = read_training_config(config)
    folder = out or Path("runs") / wanted.name
    check_folder(folder, resume, type(wanted), lambda text: None)  # before minutes of opening photos
    run(wanted, open_source(wanted, click.echo), folder=folder, resume=resume, say=click.echo)

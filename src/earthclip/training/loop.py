"""One training run, from top to bottom: ``earthclip train CONFIG.toml``, or the same under ``torchrun``.

Every random choice is drawn from the seed and the step, so a run that was killed and resumed ends in the same
weights as one left alone.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import torch

from earthclip.errors import InputError
from earthclip.files import atomic_write
from earthclip.training.checkpoint import (
    CHECKPOINT,
    TrainingState,
    has_checkpoint,
    read_run_config,
    restore_checkpoint,
    save_checkpoint,
    write_run_config,
)
from earthclip.training.config import TrainingConfig, in_steps
from earthclip.training.data import TrainingData, keep_data, open_data
from earthclip.training.devices import Ranks, joined
from earthclip.training.initial import start_from
from earthclip.training.networks import WeightAverage, backbone_folder, build_model, in_training, preprocessing_of
from earthclip.training.optimization import learning_rate, make_optimizer, precision_of
from earthclip.training.progress import Progress, draw_curves
from earthclip.training.queue import CoordinateQueue
from earthclip.training.run_folder import Stop, locked, stop_asked
from earthclip.training.steps import Steps
from earthclip.training.validation import PhotoValidation, Validation

__all__ = ["learning_rate", "train"]

NOT_FINITE = "not_finite.txt"

Say = Callable[[str], None]


def train(config: TrainingConfig, folder: Path, *, resume: bool = False, say: Say = print) -> None:
    """Train into ``folder``: checkpoint, configuration, progress as CSV, and at the end its curves.

    With ``resume``, goes on from the folder's checkpoint. Raises InputError when the folder holds a run already, or
    holds another configuration's, OutputError when another trainer is at work in it. Ctrl-C keeps a checkpoint first.
    """
    with joined(config) as ranks, stop_asked() as stop, locked(folder) if ranks.leads else contextlib.nullcontext():
        _train(config, folder, resume, say if ranks.leads else _silent, ranks, stop)


def _train(config: TrainingConfig, folder: Path, resume: bool, say: Say, ranks: Ranks, stop: Stop) -> None:
    if ranks.leads:
        _check_folder(folder, resume, say)
    data = open_data(config, say)
    config = in_steps(config, None if data is None else len(data.train))
    resume = resume and has_checkpoint(folder)
    if ranks.leads:
        _keep_config(config, folder, data, resume)
    ranks.wait()
    if config.threads:
        torch.set_num_threads(config.threads)
    backbone = backbone_folder(config.backbone) if config.backbone and config.photos else None
    preprocessing = None if data is None or data.width is not None else preprocessing_of(config, backbone)
    model = build_model(config, data.width if data else None, backbone)
    said = start_from(config.init, model, config) if config.init and not resume else None
    model = model.to(ranks.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if ranks.world > 1 and ranks.device.type == "cuda":  # torch has norms over all processes there only
        model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    average = WeightAverage(model, config.ema_decay) if config.ema_decay else None
    queue = CoordinateQueue(config.queue.size)
    state = TrainingState(model, make_optimizer(model, config.optimizer), queue, average=average)
    if resume:
        restore_checkpoint(folder, state, say, put_aside=ranks.leads)
        said = f"resuming at step {state.step} of {config.steps}"
    ranks.wait()
    if said:
        say(said)
    precision = precision_of(config.precision, ranks.device)
    learned = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    say(f"{config.name}: {learned / 1e6:.2f} M parameters, matrix products in {str(precision).removeprefix('torch.')}")
    validation: Validation | PhotoValidation | None = None
    if ranks.leads:
        validation = PhotoValidation(config, data, model, preprocessing) if data else Validation(config)
    progress = Progress(folder, config, state.step, say) if ranks.leads else None
    in_training(model)
    steps = Steps(config, state, data, preprocessing, precision, ranks, say)
    try:
        for batch in steps.batches:
            rate = learning_rate(config.optimizer, state.step, config.steps)
            loss = steps.loss(batch)
            own = loss.item()
            value = ranks.mean(own)
            if not math.isfinite(value):
                raise _not_finite(value, own, state.step, steps.ids(batch), folder)
            steps.update(loss, rate)
            last = state.step == config.steps
            if progress and validation:
                progress.step(state.step, value, rate)
                if state.step % config.validation.every_steps == 0 or last:
                    with average.in_use(model) if average else contextlib.nullcontext():
                        progress.validate(state.step, lambda: validation(model))
            wanted = not last and ranks.any(stop.asked)
            if ranks.leads and (state.step % config.checkpoint_every_steps == 0 or last or wanted):
                save_checkpoint(folder, state)
            if wanted:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        say(f"interrupted; --resume continues from the last checkpoint in {folder}")
        raise
    finally:
        steps.close()
    if ranks.leads and draw_curves(folder) is None:
        say("curves.png needs matplotlib, which is not installed; pip install 'earthclip[map]'")
    say(f"done: {folder / CHECKPOINT}")


def _silent(_: str) -> None:
    pass


def _check_folder(folder: Path, resume: bool, say: Say) -> None:
    started = has_checkpoint(folder)
    if started and not resume:
        raise InputError(
            f"{folder}: already holds a training run; add --resume to continue it, or choose another folder"
        )
    if started:
        read_run_config(folder)
    elif resume:
        say("no checkpoint yet; starting at step 0")


def _keep_config(config: TrainingConfig, folder: Path, data: TrainingData | None, resume: bool) -> None:
    """Write down what the run is, or check that the folder's run is this one."""
    if resume:
        kept = read_run_config(folder)
        if changed := [f.name for f in fields(config) if getattr(kept, f.name) != getattr(config, f.name)]:
            raise InputError(
                f"{folder}: was trained with another {', '.join(changed)}; resume with the same, or start a new run"
            )
    if data is not None:
        keep_data(folder, data, resume=resume)
    write_run_config(folder, config)


def _not_finite(value: float, own: float, step: int, ids: list[str], folder: Path) -> InputError:
    if math.isfinite(own):
        return InputError(f"the loss of another process became {value} at step {step}; read the error of that process")
    path = folder / NOT_FINITE
    with contextlib.suppress(OSError), atomic_write(path, overwrite=True) as file:
        file.write("".join(f"{name}\n" for name in ids).encode("utf-8", "surrogatepass"))
    shown = ", ".join(ids[:3]) + (f" and {len(ids) - 3} more, listed in {path}" if len(ids) > 3 else "")
    advice = "lower learning_rate or set clip_norm, and start a new run"
    return InputError(f"the loss became {own} at step {step}, with {shown}; {advice}")

"""One training run, from top to bottom: ``earthclip train CONFIG.toml``.

Every random choice is drawn from the seed and the step, so a run that was killed and resumed ends in the same
weights as one left alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from earthclip.errors import InputError, OutputError
from earthclip.nn.geoclip import GeoCLIP
from earthclip.training.checkpoint import (
    CHECKPOINT,
    TrainingState,
    read_run_config,
    restore_checkpoint,
    save_checkpoint,
    start_from,
    write_run_config,
)
from earthclip.training.config import OptimizerConfig, TrainingConfig
from earthclip.training.objective import batch_loss
from earthclip.training.progress import Progress
from earthclip.training.queue import CoordinateQueue
from earthclip.training.samples import batches
from earthclip.training.validation import Validation


def train(config: TrainingConfig, folder: Path, *, resume: bool = False, say: Callable[[str], None] = print) -> None:
    """Train into ``folder``: checkpoint, configuration, and progress as CSV.

    With ``resume``, goes on from the folder's checkpoint. Raises InputError when the folder holds a run already, or
    holds another configuration's.
    """
    resume = _prepare_folder(config, folder, resume, say)
    if config.threads:
        torch.set_num_threads(config.threads)
    model = GeoCLIP.from_config(config.model, config.seed).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = TrainingState(model, _optimizer(model, config.optimizer), CoordinateQueue(config.queue.size))
    if resume:
        restore_checkpoint(folder, state)
        say(f"resuming at step {state.step} of {config.steps}")
    elif config.init:
        start_from(Path(config.init), model)
        say(f"starting from the weights of {config.init}")
    precision = _precision(config.precision)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    say(f"{config.name}: {parameters / 1e6:.2f} M parameters, matrix products in {_name(precision)}")
    validation = Validation(config)
    progress = Progress(folder, config, state.step, say)
    model.train()
    image = config.model.image
    samples = batches(
        config.views, config.batch_size, image.image_size, image.grid, config.seed, state.step, config.steps
    )
    try:
        for batch in samples:
            rate = learning_rate(config.optimizer, state.step, config.steps)
            for group in state.optimizer.param_groups:
                group["lr"] = rate
            generator = torch.Generator().manual_seed(config.seed * 1_000_003 + state.step)
            with torch.autocast("cpu", precision, enabled=precision != torch.float32):
                loss = batch_loss(model, state.queue, batch, config, state.step, generator)
            if not math.isfinite(loss.item()):
                advice = "lower learning_rate or set clip_norm, and start anew"
                raise InputError(f"the loss became {loss.item()} at step {state.step}; {advice}")
            state.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            if config.optimizer.clip_norm:
                torch.nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.clip_norm)
            state.optimizer.step()
            state.queue.push(torch.from_numpy(batch.coordinates))
            state.step += 1
            progress.step(state.step, loss.item(), rate)
            last = state.step == config.steps
            if state.step % config.checkpoint_every_steps == 0 or last:
                save_checkpoint(folder, state)
            if state.step % config.validation.every_steps == 0 or last:
                progress.validate(state.step, lambda: validation(model))
    except KeyboardInterrupt:
        say(f"stopped; --resume goes on from the last checkpoint in {folder}")
        raise
    finally:
        samples.close()
    say(f"done: {folder / CHECKPOINT}")


def learning_rate(config: OptimizerConfig, step: int, steps: int) -> float:
    """The rate of ``step`` (from 0): linear warm-up, then half a cosine to zero, or a drop every so many steps."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "step":
        return float(config.learning_rate * config.step_gamma ** (step // config.step_every))
    done = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def _optimizer(model: GeoCLIP, config: OptimizerConfig) -> torch.optim.Optimizer:
    # Decay is for the matrices: it would pull biases, norms and the temperature for no gain.
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)


def _precision(wanted: str) -> torch.dtype:
    if wanted == "auto":
        has_bfloat16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if has_bfloat16 else torch.float32
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


def _name(precision: torch.dtype) -> str:
    return str(precision).removeprefix("torch.")


def _prepare_folder(config: TrainingConfig, folder: Path, resume: bool, say: Callable[[str], None]) -> bool:
    """Make the run's folder or check that it is this run's; whether there is a checkpoint to go on from."""
    started = (folder / CHECKPOINT).exists()
    if started and not resume:
        raise InputError(f"{folder}: holds a training run already; --resume goes on with it, or choose another folder")
    if started or (resume and folder.exists()):
        kept = read_run_config(folder)
        if changed := [f.name for f in fields(config) if getattr(kept, f.name) != getattr(config, f.name)]:
            raise InputError(
                f"{folder}: was trained with another {', '.join(changed)}; resume with that, or start anew"
            )
    if resume and not started:
        say("no checkpoint yet; starting at step 0")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose a folder you may write to") from error
    write_run_config(folder, config)
    return started

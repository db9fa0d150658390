"""One training run, in the order it happens: ``earthclip train CONFIG.toml``, or the same under ``torchrun``.

Every random choice is drawn from the seed and the step, so a run that was interrupted and resumed ends in the same
weights as one left alone.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from earthclip.errors import InputError
from earthclip.files import atomic_write, locked
from earthclip.nn.geoclip import GeoCLIP
from earthclip.training.checkpoint import CHECKPOINT, TrainingState, has_checkpoint, restore_checkpoint, save_checkpoint
from earthclip.training.config import TrainingConfig, in_steps
from earthclip.training.initial import start_from
from earthclip.training.losses import CoordinateQueue, Objective, contrastive_loss, noisy_places
from earthclip.training.networks import backbone_folder, build_model
from earthclip.training.optimization import WeightAverage, learning_rate, make_optimizer, precision_of
from earthclip.training.processes import joined, subnormals_as_zero
from earthclip.training.progress import Progress, draw_curves
from earthclip.training.run_folder import check_folder, keep_run, stop_asked
from earthclip.training.source import Batch, Source, dead_workers_named, made_ahead, share_of, to_tensor
from earthclip.training.validation import Validation

NOT_FINITE = "not_finite.txt"


def train(
    config: TrainingConfig,
    source: Source,
    objective: Objective | None = None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Train on ``source`` into ``folder`` (runs/NAME): checkpoints, configuration, progress as CSV, curves at the end.

    ``objective`` is GeoCLIP's contrastive loss where none is given. With ``resume``, the run continues from the
    folder's checkpoint. Ctrl-C finishes the step and keeps a checkpoint. Raises InputError when the folder already
    holds a run or that of another configuration, OutputError when another trainer is at work in it.
    """
    folder = folder or Path("runs") / config.name
    objective = objective or contrastive_loss
    with (
        joined(config) as ranks,
        stop_asked() as stop,
        locked(folder, "trainer") if ranks.leads else contextlib.nullcontext(),
        subnormals_as_zero(),
    ):
        # The folder: a new run, or one to continue.
        if not ranks.leads:
            say = _silent
        check_folder(folder, resume, type(config), say)
        config = in_steps(config, source.size)
        resume = resume and has_checkpoint(folder)
        if ranks.leads:
            keep_run(folder, config, source, resume=resume)
        ranks.wait()

        # The networks, and everything else a step changes.
        if config.threads:
            torch.set_num_threads(config.threads)
        backbone = backbone_folder(config.backbone) if config.backbone and source.width is None else None
        model = build_model(config, source.width, backbone)
        said = start_from(config.init, model, config) if config.init and not resume else None
        model = model.to(ranks.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if ranks.world > 1 and ranks.device.type == "cuda":  # torch has norms over all processes there only
            model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        optimizer = make_optimizer(model, config.optimizer)
        average = WeightAverage(model, config.ema_decay) if config.ema_decay else None
        queue = CoordinateQueue(config.queue.size)
        state = TrainingState(model, optimizer, queue, average=average)
        if resume:
            restore_checkpoint(folder, state, say, put_aside=ranks.leads)
            said = f"resuming at step {state.step} of {config.steps}"
        ranks.wait()
        if said:
            say(said)
        precision = precision_of(config.precision, ranks.device)
        learned = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        products = str(precision).removeprefix("torch.")
        say(f"{config.name}: {learned:,} parameters, matrix products in {products}")

        # What is measured on the way, by the first process alone. A row of step 0 tells what an untrained model gives.
        progress = Progress(folder, config, state.step, say) if ranks.leads else None
        validation = Validation(source, config, model) if ranks.leads else None
        if progress and validation and state.step == 0:
            progress.validate(0, lambda: validation(model))

        first = share_of(ranks.rank, ranks.world, config.batch_size).start
        steps = range(state.step, config.steps)
        batches = made_ahead(partial(source.batch, rank=ranks.rank, world=ranks.world), steps, source.workers)
        model.train()
        try:
            with dead_workers_named("lower workers or batch_size"), contextlib.closing(batches):
                for batch in batches:
                    rate = learning_rate(config.optimizer, state.step, config.steps)
                    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + state.step)

                    # Candidates: the places of all processes' samples and the queue's, under noise.
                    coordinates = ranks.gather(batch.coordinates)  # [b, 2] of each process -> [B, 2]
                    places = noisy_places(coordinates, queue, config.queue, first, generator)  # [B + q, 2]
                    given = to_tensor(batch.given, source.preprocessing).to(ranks.device)  # [b, 3, h, w] or [b, width]

                    # The loss of this process's samples.
                    with torch.autocast(ranks.device.type, precision, enabled=precision != torch.float32):
                        done = state.step / config.steps
                        loss = objective(model, given, batch, places, config, done, generator)  # scalar
                    own = loss.item()
                    value = ranks.mean(own)
                    if not math.isfinite(value):
                        raise _not_finite(value, own, state.step, _suspects(batch, model), folder)

                    # Down its gradient, which is the mean over the processes.
                    for group in optimizer.param_groups:
                        group["lr"] = rate
                    optimizer.zero_grad(set_to_none=True)
                    torch.autograd.backward(loss)
                    ranks.average_gradients(model)
                    if config.optimizer.clip_norm:
                        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
                        torch.nn.utils.clip_grad_norm_(trained, config.optimizer.clip_norm)
                    optimizer.step()
                    queue.push(coordinates)  # without the noise
                    state.step += 1
                    if average:
                        average.update(model, state.step)

                    # Once in a while: tell, measure, keep.
                    last = state.step == config.steps
                    if progress and validation:
                        progress.step(state.step, value, rate, batch.faults)
                        if state.step % config.validation.every_steps == 0 or last:
                            with average.in_use(model) if average else contextlib.nullcontext():
                                progress.validate(state.step, lambda: validation(model))
                    stopping = not last and ranks.any(stop.asked)
                    if ranks.leads and (state.step % config.checkpoint_every_steps == 0 or last or stopping):
                        save_checkpoint(folder, state)
                    if stopping:
                        raise KeyboardInterrupt
        except KeyboardInterrupt:
            say(f"interrupted; --resume continues from the last checkpoint in {folder}")
            raise
        if ranks.leads and draw_curves(folder) is None:
            say("curves.png needs matplotlib, which is not installed; pip install 'earthclip[map]'")
        say(f"done: {folder / CHECKPOINT}")


def _silent(_: str) -> None:
    pass


def _suspects(batch: Batch, model: GeoCLIP) -> list[str]:
    """What made a loss that is no number: features that are not finite where there are any, else weights or all."""
    if batch.given.dtype.kind == "f":
        finite = np.isfinite(batch.given.reshape(len(batch.given), -1)).all(axis=1)
        if not finite.all():
            return [f"{batch.ids[i]} (its feature is not finite)" for i in np.flatnonzero(~finite)]
    broken = [name for name, tensor in model.own_weights().items() if not tensor.isfinite().all()]
    return [f"weights that are not finite ({broken[0]})", *batch.ids] if broken else batch.ids


def _not_finite(value: float, own: float, step: int, ids: list[str], folder: Path) -> InputError:
    if math.isfinite(own):
        return InputError(f"the loss of another process became {value} at step {step}; read the error of that process")
    path = folder / NOT_FINITE
    with contextlib.suppress(OSError), atomic_write(path, overwrite=True) as file:
        file.write("".join(f"{name}\n" for name in ids).encode("utf-8", "surrogatepass"))
    shown = ", ".join(ids[:3]) + (f" and {len(ids) - 3} more, listed in {path}" if len(ids) > 3 else "")
    advice = "lower learning_rate or set clip_norm, and start a new run"
    return InputError(f"the loss became {own} at step {step}, with {shown}; {advice}")

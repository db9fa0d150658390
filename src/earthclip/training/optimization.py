"""The optimiser, its schedule, and the precision of matrix products."""

from __future__ import annotations

import math
from typing import Any

import torch

from earthclip.nn.geoclip import GeoCLIP
from earthclip.training.config import OptimizerConfig


def learning_rate(config: OptimizerConfig, step: int, steps: int) -> float:
    """The rate of ``step`` (from 0): linear warm-up, then half a cosine to zero, or a drop every so many steps."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "step":
        return float(config.learning_rate * config.step_gamma ** (step // config.step_every))
    done = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def make_optimizer(model: GeoCLIP, config: OptimizerConfig) -> torch.optim.Optimizer:
    """AdamW with decay of the matrices alone, or Adam with decay of all as in the paper; frozen weights stay out."""
    learned = [p for p in model.parameters() if p.requires_grad]
    if config.kind == "adam":
        return torch.optim.Adam(learned, lr=config.learning_rate, weight_decay=config.weight_decay)
    # Decay is for the matrices: it would pull biases, norms and the temperature for no gain.
    matrices = [p for p in learned if p.ndim > 1]
    others = [p for p in learned if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)


def precision_of(wanted: str, device: torch.device) -> torch.dtype:
    """The type of matrix products on ``device``; ``auto`` is bfloat16 where the processor computes in it."""
    if wanted != "auto":
        return torch.bfloat16 if wanted == "bfloat16" else torch.float32
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.is_bf16_supported()
    else:
        has_bfloat16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if has_bfloat16 else torch.float32

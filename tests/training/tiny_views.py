"""A configuration of a run on rendered views that takes seconds."""

from __future__ import annotations

from pathlib import Path

CONFIG = """
name = "tiny"
steps = {steps}
batch_size = 8
threads = 1
precision = "float32"
log_every_steps = 2
checkpoint_every_steps = 1

[model]
embedding_size = 16
[model.image]
image_size = 16
stem = 8
channels = [8, 12]
blocks = [1, 1]
reduced = 6
[model.location]
sigmas = [1.0, 8.0]
frequencies = 8
width = 16
depth = 1

[views]
texture_width = 360
[loss]
targets = "{targets}"
cells = {cells}
[queue]
size = 20
[optimizer]
learning_rate = 1e-3
warmup_steps = 2
[validation]
imagery = ["etopo1"]
views = 12
spacing_km = 1000.0
every_steps = 5
"""


def write_config(folder: Path, steps: int = 6, targets: str = "one-hot", cells: int = 2) -> Path:
    path = folder / "tiny.toml"
    path.write_text(CONFIG.format(steps=steps, targets=targets, cells=cells))
    return path

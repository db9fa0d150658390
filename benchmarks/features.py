"""Training from cached features beside the published training loop, which runs CLIP again for every photo and epoch.

    python benchmarks/features.py [--photos 200000] [--work DIR] [--published-venv DIR] [--clip DIR] [--json FILE]

In one run: (a) `earthclip train` with the published recipe (configs/geoclip.toml: batch 512, queue 4,096) on synthetic
features of ViT-L/14's width in float16, three views a photo; (b) the published package's own loop, `geoclip/train`,
on the same ViT-L/14 with random weights, from pixels in memory; (c) reading random batches alone; (d) extracting
features on this processor. Hours and days of 4.7 million photos are computed from these, not run.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).parent))

from published import OFFLINE, WORK, published_python, run, save_random_clip  # noqa: E402

from earthclip.datasets.feature_store import About, FeatureWriter, open_features  # noqa: E402
from earthclip.nn.backbone import HubBackbone  # noqa: E402
from earthclip.training import open_source, read_training_config, train  # noqa: E402
from earthclip.training.extract import encode  # noqa: E402

WIDTH, VIEWS, MP16, EPOCHS = 768, 3, 4_700_000, 10
GFLOP_A_PHOTO = 162.0  # of ViT-L/14, as in benchmarks/speed.py
GPU, GPU_TFLOPS, GPU_SHARE = "NVIDIA A100 (312 TFLOP/s in bfloat16, by its data sheet)", 312.0, 0.4


def make_store(folder: Path, photos: int) -> None:
    about = About("synthetic", "synthetic", WIDTH, VIEWS, photos)
    rng = np.random.default_rng(0)
    coordinates = np.stack([rng.uniform(-60, 75, photos), rng.uniform(-180, 180, photos)], axis=1)
    writer = FeatureWriter(folder, about, [f"{i}" for i in range(photos)], coordinates, resume=True)
    for shard in writer.missing:
        rows = len(writer.rows_of(shard))
        writer.write(shard, rng.standard_normal((rows, VIEWS, WIDTH), np.float32).astype(np.float16), {})


def read_rate(folder: Path, batches: int) -> float:
    store, rng = open_features(folder), np.random.default_rng(1)
    began = time.perf_counter()
    for _ in range(batches):
        store.rows(rng.integers(0, len(store), 512), rng.integers(0, VIEWS, 512))
    return batches * 512 / (time.perf_counter() - began)


def train_rate(store: Path, steps: int, scratch: Path) -> float:
    text = (ROOT / "configs" / "geoclip.toml").read_text(encoding="utf-8")
    kept = text[: text.index("[photos]")] + text[text.index("[model]") :]
    kept = kept.replace("epochs = 10", f"steps = {steps}", 1).replace("log_every_steps = 100", "log_every_steps = 10")
    config = scratch / "config.toml"
    kept = kept.replace("checkpoint_every_steps = 1000", "checkpoint_every_steps = 1000000")
    kept = "\n".join(line for line in kept.splitlines() if not line.startswith("backbone"))
    config.write_text(kept + f'\n[features]\nfolder = "{store}"\nheld_out = 0.01\n', encoding="utf-8")
    wanted = read_training_config(config)
    train(wanted, open_source(wanted), folder=scratch / "run", say=lambda text: print(text, file=sys.stderr))
    with (scratch / "run" / "progress.csv").open(newline="") as file:
        rates = [float(row["samples_per_s"]) for row in csv.DictReader(file)]
    return statistics.median(rates[1:])


def extraction_rate(clip: Path, batches: int) -> float:
    network = HubBackbone.from_folder(clip)
    pixels = np.random.default_rng(0).standard_normal((16, 1, 3, 224, 224), np.float32)
    encode(network, pixels)
    times = []
    for _ in range(batches):
        began = time.perf_counter()
        encode(network, pixels)
        times.append(time.perf_counter() - began)
    return 16 / statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=200_000)
    parser.add_argument("--steps", type=int, default=200, help="of (a)")
    parser.add_argument("--published-batch", type=int, default=64, help="of (b); its time is nearly all CLIP's")
    parser.add_argument("--published-batches", type=int, default=3, help="of (b), beside the first")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--published-venv", type=Path)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    python = published_python(options.published_venv or options.work / "venv")
    clip = options.clip or options.work / "clip-large"
    if not (clip / "config.json").exists():
        save_random_clip(clip, "large")
    store = options.work / f"features-{options.photos}"
    make_store(store, options.photos)
    figures: dict[str, Any] = {"about": asdict(open_features(store).about), "processors": os.cpu_count()}
    scratch = Path(tempfile.mkdtemp(dir=options.work))
    try:
        figures["read_a_second"] = round(read_rate(store, 200))
        figures["train_a_second"] = round(train_rate(store, options.steps, scratch))
    finally:
        shutil.rmtree(scratch)
    batch, batches = options.published_batch, options.published_batches
    command = [str(python), str(Path(__file__).parent / "published.py"), str(clip), str(batch), str(batches + 1)]
    seconds = json.loads(run(command, OFFLINE).splitlines()[-1])[1:]
    figures["published_a_second"] = round(batch / statistics.median(seconds), 3)
    figures["ratio"] = round(figures["train_a_second"] / figures["published_a_second"])
    figures["extract_a_second"] = round(extraction_rate(clip, 5), 2)
    figures["hours_of_10_epochs_of_4.7_million"] = round(EPOCHS * MP16 / figures["train_a_second"] / 3600, 1)
    figures["days_to_extract_4.7_million_here"] = round(MP16 / figures["extract_a_second"] / 86400, 1)
    gpu_a_second = GPU_SHARE * GPU_TFLOPS * 1000 / GFLOP_A_PHOTO
    estimate = f"{MP16 / gpu_a_second / 3600:.1f} hours on one {GPU} at {GPU_SHARE:.0%} of that; computed, not run"
    figures["to_extract_4.7_million_on_a_gpu"] = estimate
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()

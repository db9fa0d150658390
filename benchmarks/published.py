"""The published package, geoclip 1.3.0, in an environment of its own: how to make it, and how to call it there.

Both benchmarks against it import this file, in either environment; so nothing but NumPy is imported at its top.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
WORK = Path(tempfile.gettempdir()) / "earthclip-published-parity"
VERSION = "1.3.0"
WHEEL_SHA256 = "08a93791166a279d52b95c466a952c75f17f654cc61bdf6ab20355325b564dec"
# What geoclip imports; torchvision is left out, since only its data loader for training needs it. Without it
# transformers prepares pictures with Pillow, as it did in all versions before 5.
BESIDE = ("torch", "transformers", "safetensors", "huggingface-hub", "pandas", "numpy", "pillow", "geopy", "tqdm")
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}


def run(command: list[str], environment: dict[str, str] | None = None) -> str:
    """What it prints."""
    done = subprocess.run(command, env=os.environ | (environment or {}), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {done.returncode}")
    return done.stdout


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def published_python(folder: Path) -> Path:
    """The interpreter of an environment with the published wheel, checked by its SHA-256; made when missing."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = folder / "published-parity-ready"
    if not ready.exists():
        if python.exists() or (folder.exists() and any(folder.iterdir())):
            raise SystemExit(f"{folder}: not an environment that this program finished; name an empty or a new folder")
        print(f"{folder}: making the environment of geoclip {VERSION}, once", file=sys.stderr)
        venv.EnvBuilder(with_pip=True).create(folder)
        wheel = folder / "geoclip.txt"
        wheel.write_text(f"geoclip=={VERSION} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
        install = [str(python), "-m", "pip", "install", "--quiet"]
        run([*install, "-c", str(ROOT / "constraints.txt"), *BESIDE])
        run([*install, "--no-deps", "--require-hashes", "-r", str(wheel)])
        ready.touch()
    return python


# What follows runs there, but for ``versions``, which runs in either.


def versions(*packages: str) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def save_random_clip(folder: Path, size: str) -> None:
    """A CLIP folder with random weights, laid out as ``openai/clip-vit-large-patch14`` but without a tokenizer."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    text, vision = ((32, 64, 2, 2), (64, 128, 2, 2)) if size == "tiny" else ((768, 3072, 12, 12), (1024, 4096, 24, 16))
    torch.manual_seed(0)
    config = CLIPConfig(
        projection_dim=768,  # what the published head takes
        text_config=dict(zip(names, text, strict=True)) | {"projection_dim": 768},
        vision_config=dict(zip(names, vision, strict=True)) | {"projection_dim": 768, "patch_size": 14},
    )
    model = CLIPModel(config)
    with torch.no_grad():  # CLIP was published in half precision, which its float32 files still hold exactly
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    model.save_pretrained(folder)
    squares = {"size": 224, "crop_size": 224, "resample": 3, "feature_extractor_type": "CLIPFeatureExtractor"}
    steps = {f"do_{step}": True for step in ("resize", "center_crop", "normalize")}
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    preprocessor = json.dumps(squares | steps | {"image_mean": mean, "image_std": std}, indent=2)
    (folder / "preprocessor_config.json").write_text(preprocessor + "\n", encoding="utf-8")


def load_geoclip(clip: Path) -> Any:
    """Its model as it is, but for CLIP, which comes from a folder."""
    import geoclip
    from geoclip.model import image_encoder
    from transformers import AutoImageProcessor

    image_encoder.AutoProcessor = AutoImageProcessor  # AutoProcessor wants the tokenizer too, which is never used
    return geoclip.GeoCLIP(clip_path=str(clip)).eval()


def keep_gallery(model: Any) -> None:
    """Encode the gallery once and keep it, as users patch it in (geo-clip issue 13): a photo then costs its own."""
    import torch
    from torch.nn.functional import normalize

    with torch.no_grad():
        kept = torch.cat([model.location_encoder(part) for part in model.gps_gallery.split(4096)])
        kept = normalize(kept, dim=1).t().contiguous()

    def forward(image: Any, _: Any) -> Any:
        return model.logit_scale.exp() * (normalize(model.image_encoder(image), dim=1) @ kept)

    model.forward = forward


def published_embeddings(points: np.ndarray) -> np.ndarray:
    import torch
    from geoclip import LocationEncoder

    encoder = LocationEncoder().eval()
    with torch.no_grad():
        return torch.cat([encoder(part) for part in torch.from_numpy(points).float().split(4096)]).numpy()


def exact_embeddings(points: np.ndarray) -> np.ndarray:
    """By the published weights, all of it in float64."""
    import torch
    from geoclip import LocationEncoder

    torch.set_default_dtype(torch.float64)  # which its constants and its sum take, inside forward
    encoder = LocationEncoder().eval()
    with torch.no_grad():
        return torch.cat([encoder(part) for part in torch.from_numpy(points).double().split(4096)]).numpy()


def train_step_seconds(clip: Path, batch_size: int, batches: int) -> list[float]:
    """Seconds of each batch of its own training loop, CLIP run again for every photo; the first warms up."""
    import importlib.util

    import geoclip
    import torch

    # By its path: the folder's __init__ imports the data loader, which wants torchvision.
    path = Path(geoclip.__file__).parent / "train" / "train.py"
    spec = importlib.util.spec_from_file_location("published_train", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = load_geoclip(clip).train()
    model.dequeue_and_enqueue(torch.zeros(batch_size, 2))  # as its own first batch does
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-5, weight_decay=1e-6)
    marks = []

    class Loader:
        def __len__(self) -> int:
            return batches

        def __iter__(self) -> Any:
            for _ in range(batches):
                marks.append(time.perf_counter())
                yield torch.rand(batch_size, 3, 224, 224), torch.rand(batch_size, 2) * 100 - 50
            marks.append(time.perf_counter())

    module.train(Loader(), model, optimizer, 0, batch_size, "cpu")
    return [after - before for before, after in itertools.pairwise(marks)]


if __name__ == "__main__":  # in the published environment: python published.py CLIP BATCH_SIZE BATCHES
    print(json.dumps(train_step_seconds(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))

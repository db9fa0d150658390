"""The scope of a model: a small head that tells views of the Earth from above from other pictures.

Its convolutions start as the image encoder's first six layers, and learn on. The mean and standard deviation of each of
their channels, over the whole picture upright, go to a network with one hidden layer. The image encoder stays as it is,
and so do the places of a picture.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from jaxtyping import Float, Float32, Float64, UInt8
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from earthclip.errors import ModelError
from earthclip.models.config import IMAGE_ENCODER, SCOPE, ModelConfig, Scope, write_config
from earthclip.models.folder import open_folder
from earthclip.nn.export import export_graph, round_weights
from earthclip.nn.image_encoder import MEAN, STD
from recipes.orbit.augment import Augmentation
from recipes.orbit.camera import Cameras
from recipes.orbit.imagery import IMAGERY, land_mask, load_texture
from recipes.orbit.photos import Photos, fetch_photos, photo_crops, read_photos
from recipes.orbit.testset import test_cameras
from recipes.orbit.texture import Texture
from recipes.orbit.views import ViewDistribution, render, sample_cameras

OF = "a view of the Earth from above"
INSTEAD = "use --model geoclip (earthclip model pull geoclip)"
FALSE_ALARMS = 0.015  # of views of each validation imagery in each band
_SIZE = 64  # pixels across the picture that the layers see
_SEEN = ("bmng", "shadedrelief", "etopo1")
_VIEWS = {5400: 2400, 2048: 900, 1024: 700}  # by width of the texture: narrow views of coarse imagery are blurred
_DISTRIBUTION = ViewDistribution(half_width_km=(130.0, 1700.0), tilt_deg=(0.0, 35.0))  # a little beyond the model's own
_MEASURED, _MEASURED_SEED = 500, 5  # views of each imagery
_BANDS_KM = ((150, 1501), (150, 300), (300, 700), (700, 1501))
_BATCH = 128  # half of them views
_COPIES, _DISTURBED = 2, 0.7  # of each picture that is learnt on, and the share of them that is disturbed
_WHOLE = 3.5  # times as often as a crop of it is a whole picture learnt on, since those are what people send
_RATES = (3e-4, 3e-3)  # highest learning rates of the convolutions and of the rest
_KEPT = 0.998  # of the running mean of the weights, at a step
_POOLED = 2 * (32 + 64 + 64 + 160 + 160 + 160)  # mean and standard deviation of the channels of six layers
Say = Callable[[str], None]


class _Block(nn.Module):
    """A residual block whose norms are folded into its convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Features of the same shape."""
        return F.relu(x + self.second(F.relu(self.first(x))))


class ScopeHead(nn.Module):
    """From pixels to how likely they are a view from above; the convolutions start as the image encoder's."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(3, 32, 5, 2, 2), nn.ReLU()),
                nn.Sequential(nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU()),
                _Block(64),
                nn.Sequential(nn.Conv2d(64, 160, 3, 2, 1), nn.ReLU()),
                _Block(160),
                _Block(160),
            ]
        )
        self.norm = nn.BatchNorm1d(_POOLED)
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(_POOLED, 64), nn.ReLU(), nn.Dropout(0.4), nn.Linear(64, 1))

    def features(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b f"]:
        """Mean and standard deviation of each channel of each layer, of preprocessed pixels."""
        x = F.interpolate(pixels, (_SIZE, _SIZE), mode="bilinear", align_corners=False)
        pooled = []
        for layer in self.layers:
            x = layer(x)
            pooled += [x.mean((2, 3)), x.var((2, 3)).add(1e-5).sqrt()]
        return torch.cat(pooled, dim=1)

    def judge(self, features: Float[Tensor, "b f"]) -> Float[Tensor, " b"]:
        """The logit of each picture."""
        logits: Tensor = self.head(self.norm(features).clamp(-4, 4))
        return logits[:, 0]

    def forward(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1"]:
        """The probability of each picture."""
        return self.judge(self.features(pixels)).sigmoid()[:, None]


def add_scope(folder: Path, *, epochs: int = 9, seed: int = 0, say: Say = print) -> ModelConfig:
    """Learn the head of the model folder at ``folder``, measure it, and write both; returns the configuration.

    The photos are downloaded where they are not here. Raises InputError for imagery or photos that cannot be had,
    ModelError for a model whose image encoder is not the compact network.
    """
    model = open_folder(folder)
    size = model.preprocessing.size
    torch.manual_seed(seed)
    head = ScopeHead()
    start_from(head, onnx.load(model.file(IMAGE_ENCODER)))
    rng = np.random.default_rng(seed)
    of_views, of_photos = Augmentation(0.5, mottled=0.05, silhouettes=0.01), Augmentation(0.5, mottled=0.01)
    views = []
    for name in _SEEN:
        for width, n in _VIEWS.items():
            rendered = _seen(sample_cameras(n, land_mask(), rng, _DISTRIBUTION), load_texture(name, width), size)
            views += [_disturbed(rendered, of_views, rng, _DISTURBED) for _ in range(_COPIES)]
        say(f"views of {name}")
    others: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    for photos in read_photos():
        if photos.role == "training":
            for what, some in _pictures(photos, size, rng, say).items():
                for _ in range(_COPIES):
                    others.append(_disturbed(some, of_photos, rng, _DISTURBED))
                    weights.append(np.full(len(some), _WHOLE if what == "pictures" else 1.0))
    _train(head, np.concatenate(views), np.concatenate(others), np.concatenate(weights), epochs, rng, say)
    return finish(head, folder, say=say)


def finish(head: ScopeHead, folder: Path, *, say: Say = print) -> ModelConfig:
    """Measure a head on what it has not learnt on, choose its threshold, and write it to the model folder."""
    model = open_folder(folder)
    size, rng = model.preprocessing.size, np.random.default_rng(_MEASURED_SEED)
    round_weights(head.eval())
    cameras = test_cameras(_MEASURED, _MEASURED_SEED)
    scores = {}
    for name, item in IMAGERY.items():
        if item.role != "training":
            scores[name] = _logits(head, _seen(cameras, load_texture(name), size))
    bands = {(low, high): (cameras.half_width_km >= low) & (cameras.half_width_km < high) for low, high in _BANDS_KM}
    validation = [scores[name] for name in scores if IMAGERY[name].role == "validation"]
    lowest = [np.quantile(some[band], FALSE_ALARMS, method="lower") for some in validation for band in bands.values()]
    threshold = float(min(lowest))
    flagged, packages = {}, read_photos()
    for photos in packages:
        if photos.role != "training":
            for what, some in _pictures(photos, size, rng, say).items():
                share = _share(_logits(head, some) < threshold)
                flagged[f"{photos.package} ({photos.role}), {len(some)} {what}"] = share
    measured: dict[str, Any] = {
        "false_alarms": {
            f"{name} ({IMAGERY[name].role}), half-width {low}-{high} km": _share(scores[name][band] < threshold)
            for name in scores
            for (low, high), band in bands.items()
        },
        "flagged": flagged,
        "trained_on": {photos.package: photos.licence for photos in packages if photos.role == "training"},
    }
    export_graph(head, torch.zeros(2, 3, size, size), "pixels", "scope", folder / SCOPE)
    probability = 1 / (1 + float(np.exp(-threshold)))
    scope = Scope(OF, float(f"{probability:.6g}"), INSTEAD, measured)
    return write_config(folder, dataclasses.replace(model.config, scope=scope))


def _pictures(photos: Photos, size: int, rng: np.random.Generator, say: Say) -> dict[str, UInt8[np.ndarray, "n s s 3"]]:
    """Whole "pictures" of a package, and "crops" of them."""
    where = fetch_photos(photos)
    crops = photo_crops(photos, where, size, rng)
    whole = photo_crops(dataclasses.replace(photos, crops=1), where, size, rng)
    say(f"{len(whole):,} pictures of {photos.package} ({photos.role}), {len(crops):,} crops")
    return {"crops": crops, "pictures": whole}


def start_from(head: ScopeHead, encoder: onnx.ModelProto) -> None:
    """Take the weights of the image encoder's first convolutions. Raises ModelError where they do not fit."""
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in encoder.graph.initializer}
    own = [layer for layer in head.modules() if isinstance(layer, nn.Conv2d)]
    theirs = [node for node in encoder.graph.node if node.op_type == "Conv"]
    for layer, node in zip(own, theirs, strict=False):
        kernel = weights.get(node.input[1], weights.get(f"{node.input[1]}_half"))
        if kernel is None or kernel.shape != tuple(layer.weight.shape) or len(node.input) < 3:
            raise ModelError("the image encoder is not orbit's compact network, whose first layers the scope needs")
        layer.weight.data = torch.tensor(kernel.astype(np.float32))
        assert layer.bias is not None
        layer.bias.data = torch.tensor(weights[node.input[2]].astype(np.float32))


def _train(
    head: ScopeHead,
    views: UInt8[np.ndarray, "n s s 3"],
    others: UInt8[np.ndarray, "m s s 3"],
    weights: Float64[np.ndarray, " m"],
    epochs: int,
    rng: np.random.Generator,
    say: Say,
) -> None:
    """Learn on as many views as other pictures; an epoch has as many of both as there are views, without copies."""
    half = _BATCH // 2
    steps = len(views) // _COPIES // half
    rest = [*head.norm.parameters(), *head.head.parameters()]
    groups: list[dict[str, Any]] = [{"params": list(head.layers.parameters())}, {"params": rest}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.03)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, list(_RATES), total_steps=epochs * steps + 1)
    average = get_ema_multi_avg_fn(_KEPT)  # type: ignore[no-untyped-call]
    mean = AveragedModel(head, multi_avg_fn=average, use_buffers=True)
    wanted = torch.cat([torch.ones(half), torch.zeros(half)]) * 0.98 + 0.01
    shares = weights / weights.sum()
    head.train()
    for epoch in range(epochs):
        total = 0.0
        for _ in range(steps):
            seen = torch.rot90(_pixels(views[rng.integers(0, len(views), half)]), int(rng.integers(4)), (2, 3))
            pixels = torch.cat([seen, _pixels(others[rng.choice(len(others), half, p=shares)])])
            mirrored = torch.rand(_BATCH) < 0.5
            pixels[mirrored] = pixels[mirrored].flip(3)
            logits = head.judge(head.features(_recoloured(pixels)))
            loss = F.binary_cross_entropy_with_logits(logits, wanted)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            mean.update_parameters(head)
            total += loss.item()
        say(f"epoch {epoch + 1} of {epochs}: loss {total / steps:.3f}")
    head.load_state_dict(mean.module.state_dict())
    head.eval()


def _recoloured(pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """Preprocessed pixels of other tones, contrast, saturation and grain, so that no colour tells what a picture is."""

    def normal(spread: float, channels: int = 1) -> Tensor:
        return torch.randn(len(pixels), channels, 1, 1) * spread

    values = (pixels * STD + MEAN).clamp(1e-3, 1) ** torch.exp(normal(0.25) + normal(0.08, 3))
    values = ((values - 0.45) * torch.exp(normal(0.2)) + 0.45 + normal(0.05, 3)).clamp(0, 1)
    grey = values.mean(1, keepdim=True)
    values = grey + (values - grey) * (1 + normal(0.3)).clamp(0, 1.6)
    values = values + torch.randn_like(values) * torch.rand(len(values), 1, 1, 1) * 0.03
    return (values.clamp(0, 1) - MEAN) / STD


def _logits(head: ScopeHead, pictures: UInt8[np.ndarray, "n s s c"]) -> Float32[np.ndarray, " n"]:
    parts = [pictures[first : first + _BATCH, ..., :3] for first in range(0, len(pictures), _BATCH)]
    with torch.no_grad():
        return np.concatenate([head.judge(head.features(_pixels(part))).numpy() for part in parts])


def _seen(cameras: Cameras, texture: Texture, size: int) -> UInt8[np.ndarray, "n s s 4"]:
    """Views as a larger picture looks when it is reduced to ``size`` pixels, which is sharper than one rendered so."""
    views = []
    for first in range(0, len(cameras), _BATCH):
        part = cameras.take(np.arange(first, min(first + _BATCH, len(cameras))))
        views.append(_bytes(render(part, texture, 2 * size).reshape(-1, size, 2, size, 2, 4).mean(axis=(2, 4))))
    return np.concatenate(views)


def _disturbed(
    views: UInt8[np.ndarray, "n s s c"], disturb: Augmentation, rng: np.random.Generator, share: float
) -> UInt8[np.ndarray, "n s s 3"]:
    """The pictures, half of them mirrored, an eighth turned by quarters, and a share disturbed as in training.

    One without a land fraction is all land.
    """
    found = np.empty((*views.shape[:3], 3), np.uint8)
    for row, view in enumerate(views):
        view = view[:, ::-1] if rng.random() < 0.5 else view
        view = np.rot90(view, int(rng.integers(4))) if rng.random() < 0.125 else view
        found[row] = view[..., :3]
        if rng.random() < share:
            land = view[..., 3:] if view.shape[2] == 4 else np.full((*view.shape[:2], 1), 255, np.uint8)
            found[row] = _bytes(disturb(np.concatenate([view[..., :3], land], axis=2) / np.float32(255), rng))
    return found


def _pixels(pictures: UInt8[np.ndarray, "n s s 3"]) -> Float[Tensor, "n 3 s s"]:
    values: Tensor = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).float() / 255
    return (values - MEAN) / STD


def _bytes(values: Float32[np.ndarray, ...]) -> UInt8[np.ndarray, ...]:
    found: UInt8[np.ndarray, ...] = (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)
    return found


def _share(found: np.ndarray) -> float:
    return round(float(found.mean()), 4)

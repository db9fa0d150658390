"""A CLIP of two layers in Hugging Face's folder format, with a tokenizer of its own, and a GeoCLIP release over it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import safetensors.torch
import tokenizers
import torch
import transformers

WORDS = ["snow", "volcano", "rice", "paddy", "harbour", "over", "a", "capped"]
LENGTH, WIDTH, EMBEDDING = 12, 24, 16
START, END = len(WORDS) + 1, len(WORDS) + 2


def write_clip(folder: Path, kind: str = "clip", *, with_tokenizer: bool = True) -> Path:
    """Random weights; ``kind`` is clip or siglip."""
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = vision | {"vocab_size": END + 1, "max_position_embeddings": LENGTH}
    vision |= {"image_size": 28, "patch_size": 14}
    torch.manual_seed(5)
    if kind == "clip":
        text |= {"bos_token_id": START, "eos_token_id": END, "pad_token_id": END}
        config = transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=WIDTH)
        model = transformers.CLIPModel(config)
    else:
        config = transformers.SiglipConfig(vision_config=vision, text_config=text)
        model = transformers.SiglipModel(config)
    model.save_pretrained(folder)
    processor = {"do_resize": True, "resample": 3, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
    processor |= {"do_center_crop": True, "crop_size": {"height": 28, "width": 28}} if kind == "clip" else {}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    if with_tokenizer:
        _write_tokenizer(folder)
    return folder


def write_release(folder: Path, *, width: int = WIDTH, places: int = 40) -> Path:
    """Random weights of GeoCLIP's other parts, as its releases on the Hub have them."""
    generator = torch.Generator().manual_seed(7)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) / shape[-1] ** 0.5

    sigmas = [1, 16]
    weights = {"logit_scale": torch.tensor(3.0)}
    for name, shape in {"0": (width, width), "2": (EMBEDDING, width)}.items():
        weights |= {
            f"image_encoder.mlp.{name}.weight": random(*shape),
            f"image_encoder.mlp.{name}.bias": random(shape[0]),
        }
    for i, sigma in enumerate(sigmas):
        prefix = f"location_encoder.LocEnc{i}."
        weights[prefix + "capsule.0.b"] = sigma * torch.randn((10, 2), generator=generator)
        layers = {"capsule.1": (14, 20), "capsule.3": (14, 14), "capsule.5": (14, 14), "head.0": (EMBEDDING, 14)}
        for name, shape in layers.items():
            weights |= {f"{prefix}{name}.weight": random(*shape), f"{prefix}{name}.bias": random(shape[0])}
    folder.mkdir(parents=True)
    safetensors.torch.save_file(weights, folder / "model.safetensors")
    config = {"model_type": "geoclip-geolocation", "format_version": 1, "sigma": sigmas, "gallery_file": "places.csv"}
    config["backbone"] = {"repo_id": "example/clip", "revision": "main"}
    (folder / "config.json").write_text(json.dumps(config))
    rng = np.random.default_rng(0)
    rows = zip(rng.uniform(-80, 80, places), rng.uniform(-180, 180, places), strict=True)
    (folder / "places.csv").write_text("LAT,LON\n" + "".join(f"{lat:.6f},{lon:.6f}\n" for lat, lon in rows))
    return folder


def _write_tokenizer(folder: Path) -> None:
    vocabulary = {"<unk>": 0} | {word: i + 1 for i, word in enumerate(WORDS)} | {"<start>": START, "<end>": END}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", START), ("<end>", END)]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<start>", eos_token="<end>", pad_token="<end>"
    )
    fast.save_pretrained(folder)

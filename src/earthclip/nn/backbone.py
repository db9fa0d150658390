"""The frozen image backbone: CLIP, SigLIP and the like, and CLIP's image tower by itself."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from earthclip.errors import MissingExtraError, ModelError
from earthclip.nn.image_encoder import ImageEncoder
from earthclip.pictures.preprocess import Preprocessing


def clip_picture_features(network: Any, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b w"]:
    """Projected features (not normalised) of preprocessed pixels, by a ``CLIPModel`` of transformers in eval mode."""
    tower = network.vision_model
    tokens = tower.pre_layrnorm(tower.embeddings(pixels))
    *layers, last = tower.encoder.layers
    for layer in layers:
        tokens = _layer(layer, tokens, tokens)
    token = _layer(last, tokens[:, :1], tokens)
    features: Tensor = network.visual_projection(tower.post_layernorm(token[:, 0]))
    return features


def _layer(layer: Any, asking: Float[Tensor, "b q d"], tokens: Float[Tensor, "b t d"]) -> Float[Tensor, "b q d"]:
    """The layer's output for the tokens ``asking``, which are among ``tokens``."""
    attention = layer.self_attn
    normed = layer.layer_norm1(tokens)
    keys, values = (_heads(project(normed), attention.num_heads) for project in (attention.k_proj, attention.v_proj))
    queries = _heads(attention.q_proj(normed if asking is tokens else layer.layer_norm1(asking)), attention.num_heads)
    seen = F.scaled_dot_product_attention(queries, keys, values)
    asking = asking + attention.out_proj(seen.transpose(1, 2).flatten(2))
    output: Tensor = asking + layer.mlp(layer.layer_norm2(asking))
    return output


def _heads(x: Float[Tensor, "b t d"], heads: int) -> Float[Tensor, "b h t w"]:
    split: Tensor = x.view(*x.shape[:2], heads, -1)
    return split.transpose(1, 2)


CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

_FILTERS = {1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers, as preprocessor_config.json has them


class Backbone(nn.Module):
    """Pictures and words into features of one space; any such pair of towers can be GeoCLIP's."""

    width: int  # of the features
    image_size: int  # pixels across the square pictures it takes

    def image_features(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b w"]:
        """Preprocessed pixels to features (not normalised)."""
        raise NotImplementedError

    def text_features(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b w"]:
        """Token ids, padded to the tower's full length, to features (not normalised)."""
        raise NotImplementedError


class HubBackbone(Backbone):
    """A two-tower model of transformers: CLIP, SigLIP and their kin."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        config: Any = network.config
        self.image_size = int(config.vision_config.image_size)
        self.text_length = int(config.text_config.max_position_embeddings)
        # CLIP projects both towers to one width; SigLIP's are of one width already.
        self.width = int(getattr(config, "projection_dim", None) or config.vision_config.hidden_size)
        self.kind = str(config.model_type)

    @classmethod
    def from_folder(cls, folder: Path) -> HubBackbone:
        """The network in a Hugging Face folder. Raises ModelError when it is no such folder, or is damaged."""
        transformers = _transformers()
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"{folder}: no config.json in it; expected CLIP or a similar model in Hugging Face's format"
            )
        try:
            with _quiet(transformers):
                network = transformers.AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        except TypeError:  # transformers before 4.56 calls it torch_dtype
            with _quiet(transformers):
                network = transformers.AutoModel.from_pretrained(
                    folder, local_files_only=True, torch_dtype=torch.float32
                )
        except Exception as error:  # the library's own errors share no class
            reason = " ".join(str(error).split())[:160]
            raise ModelError(f"{folder}: not a network that can be loaded ({reason}); copy it again") from error
        return cls._checked(network, str(folder))

    @classmethod
    def from_config(cls, config: object) -> HubBackbone:
        """A network with fresh weights of a transformers configuration."""
        return cls._checked(_transformers().AutoModel.from_config(config), "the configuration")

    @classmethod
    def _checked(cls, network: Any, where: str) -> HubBackbone:
        if not hasattr(network, "get_image_features") or not hasattr(network, "get_text_features"):
            found = type(network).__name__
            raise ModelError(f"{where}: expected a model of pictures and words such as CLIP, found {found}")
        network.eval().requires_grad_(False)
        return cls(network)

    def image_features(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b w"]:
        """Preprocessed pixels to features, projected where the model projects them."""
        if self.kind == "clip":
            return clip_picture_features(self.network, pixels)
        return _features(self.network.get_image_features(pixel_values=pixels))

    def text_features(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b w"]:
        """Token ids to features; padding comes last and needs no mask, since the towers were trained without one."""
        return _features(self.network.get_text_features(input_ids=tokens))


class BackboneEncoder(ImageEncoder):
    """A frozen backbone under GeoCLIP's head, which pictures and words share."""

    def __init__(self, backbone: HubBackbone, embedding_size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.image_size = backbone.image_size
        width = backbone.width
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, embedding_size))

    def forward(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Embeddings of pictures (not normalised)."""
        embeddings: Tensor = self.head(self.backbone.image_features(pixels))
        return embeddings

    def encode_tokens(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b d"]:
        """Embeddings of words (not normalised)."""
        embeddings: Tensor = self.head(self.backbone.text_features(tokens))
        return embeddings


def read_preprocessing(folder: Path, image_size: int) -> Preprocessing:
    """What the folder's ``preprocessor_config.json`` says of pictures; CLIP's own where there is none."""
    import json

    path = folder / "preprocessor_config.json"
    if not path.is_file():
        return Preprocessing(image_size, CLIP_MEAN, CLIP_STD, "bicubic")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        mean, std = ([float(v) for v in values.get(key, own)] for key, own in _OWN.items())
        crops = bool(values.get("do_center_crop", "crop_size" in values))
        return Preprocessing(
            image_size,
            (mean[0], mean[1], mean[2]),
            (std[0], std[1], std[2]),
            _FILTERS[int(values.get("resample", 3))],  # type: ignore[arg-type]
            fit="crop" if crops else "squash",
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ModelError(f"{path}: not a picture processor this program knows ({error}); copy it again") from error


_OWN = {"image_mean": CLIP_MEAN, "image_std": CLIP_STD}


def read_tokenizer(folder: Path) -> tuple[bytes, int] | None:
    """The folder's tokenizer as ``tokenizer.json`` and the id it pads with; None when it has none."""
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json", "spiece.model")):
        return None
    transformers = _transformers()
    try:
        with _quiet(transformers):
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        return tokenizer.backend_tokenizer.to_str().encode(), int(pad)
    except Exception as error:  # the library's own errors share no class
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"{folder}: its tokenizer cannot be read ({reason}); copy it again") from error


def _features(output: Any) -> Tensor:
    """transformers 4 gives the projected features themselves, transformers 5 an object around them."""
    features = output if isinstance(output, Tensor) else output.pooler_output
    if not isinstance(features, Tensor):
        raise ModelError(f"the backbone gave {type(features).__name__} for features; use another transformers version")
    return features


def _transformers() -> Any:
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise MissingExtraError("loading CLIP", "train", "transformers") from error
    return transformers


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without its progress bars and advice, which say nothing to who asked for a model folder."""
    library = logging.getLogger("transformers")
    level = library.level
    transformers.utils.logging.disable_progress_bar()
    library.setLevel(logging.ERROR)
    try:
        yield
    finally:
        library.setLevel(level)
        transformers.utils.logging.enable_progress_bar()

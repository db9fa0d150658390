"""What a graph can run on and how exactly, and the views of a picture: names only, so that --help loads nothing."""

from __future__ import annotations

from typing import Literal, get_args

Runtime = Literal["auto", "onnxruntime", "openvino"]
Precision = Literal["auto", "float32", "bfloat16", "int8"]
Views = Literal["none", "flip", "ten-crop"]

RUNTIMES: tuple[str, ...] = get_args(Runtime)
PRECISIONS: tuple[str, ...] = get_args(Precision)
VIEWS: tuple[str, ...] = get_args(Views)

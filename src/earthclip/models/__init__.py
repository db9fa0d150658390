"""Model folders: their contents, their sources, and what runs their encoders.

Only names are defined here, so that ``--help`` loads nothing.
"""

from __future__ import annotations

from typing import Literal, get_args

Runtime = Literal["auto", "onnxruntime", "openvino"]
Precision = Literal["auto", "float32", "bfloat16", "float16", "int8"]

RUNTIMES: tuple[str, ...] = get_args(Runtime)
PRECISIONS: tuple[str, ...] = get_args(Precision)

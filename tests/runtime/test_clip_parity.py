"""Our preprocessing against CLIP's own processor in transformers: at most one of 255 levels apart on every pixel.

CLIP's processor takes an open picture as it is: it ignores EXIF orientation and clips 16-bit grey, which no user
wants. There the two are compared on the RGB our decoder makes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import AutoImageProcessor  # noqa: F401 - the package is lazy: this loads what the next import needs

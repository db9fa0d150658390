"""Where this package keeps what it fetched or computed: ``EARTHCLIP_HOME``, or the platform's cache folder."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The cache folder; not created here. Set ``EARTHCLIP_HOME`` to move it."""
    chosen = os.environ.get("EARTHCLIP_HOME")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("earthclip")

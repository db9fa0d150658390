"""Every name that ``import earthclip`` offered is still there."""

from __future__ import annotations

import json

import earthclip
from tests.compatibility.conftest import DATA


def test_public_names() -> None:
    before = json.loads((DATA / "names.json").read_text())
    assert "load" in before and set(before) <= set(earthclip.__all__)
    for name in before:
        assert getattr(earthclip, name) is not None

"""``python -m recipes.probes``: see ``recipes/probes/README.md``."""

from __future__ import annotations

import sys

from earthclip.cli import main
from recipes.probes.commands import probes

if __name__ == "__main__":
    sys.exit(main(command=probes, name="python -m recipes.probes"))

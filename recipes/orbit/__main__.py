"""``python -m recipes.orbit``: see ``recipes/orbit/README.md``."""

from __future__ import annotations

import sys

from earthclip.cli import main
from recipes.orbit.commands import orbit

if __name__ == "__main__":
    sys.exit(main(command=orbit, name="python -m recipes.orbit"))

"""``python -m earthclip`` is the command ``earthclip``, for environments whose scripts are not on the path."""

from __future__ import annotations

import sys

from earthclip.cli import main

if __name__ == "__main__":
    sys.exit(main())

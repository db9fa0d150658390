"""The command ``earthclip``, also as ``python -m earthclip``, for environments whose scripts are not on the path."""

from __future__ import annotations

import signal
import sys
from types import FrameType

INTERRUPTED = 130


def main() -> int:
    """Run the command line and return its exit code, 130 for Ctrl-C whatever is being imported when it comes."""
    interrupted = False

    def interrupt(_: int, __: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # in the background of a shell it is not
    if heard:
        signal.signal(signal.SIGINT, interrupt)
    try:
        from earthclip.cli import main as run  # which takes a tenth of a second

        code = run()
    except BaseException:
        if not interrupted:  # libraries in C make any exception of an interrupt that comes while they are imported
            raise
        code = INTERRUPTED
    finally:
        if heard:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own way to end would print a traceback
    return INTERRUPTED if interrupted and code else code


if __name__ == "__main__":
    sys.exit(main())

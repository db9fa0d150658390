"""The command ``earthclip``: parse, call one function, print. Every expected fault is one line on stderr.

Exit codes: 0 done, 1 some pictures of many failed, 2 bad input or usage, 130 interrupted, 141 the reader went away.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from earthclip import __version__
from earthclip.cli.layout import HELP_NAMES, Context, nearest
from earthclip.cli.tree import TREE, Entry, RenamedError, renamed
from earthclip.errors import EarthCLIPError, MissingExtraError, one_line

BROKEN_PIPE = 141
INTERRUPTED = 130

_TRAIN_PACKAGES = ("torch", "onnx", "onnxscript", "safetensors", "mpl_toolkits", "transformers")


class _ReaderGoneError(Exception):
    """Whoever read stdout has closed it; click would end the process by itself on the OSError that says so."""


class LazyGroup(click.Group):
    """A group of the tree, whose commands are imported when one of them is named."""

    context_class = Context

    def __init__(self, entries: Mapping[str, Entry], rewrite: str = "", **settings: Any) -> None:
        super().__init__(context_settings=HELP_NAMES, **settings)
        self.entries = entries
        self._rewrite = rewrite

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Parse, which is where --help is printed."""
        with _broken_pipe_named():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _broken_pipe_named():
            return super().invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, after what the version before wrote otherwise has been written as it is now."""
        known = (*self.entries, *HELP_NAMES["help_option_names"])
        if self._rewrite and args and args[0] not in known and not ctx.resilient_parsing:
            args = _imported(self._rewrite)(args)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order a newcomer meets them."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one command that was named."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        if entry.below:
            text = f"{entry.line}\n\n{entry.more}" if entry.more else entry.line
            return LazyGroup(entry.below, entry.rewrite, name=cmd_name, help=text)
        found: click.Command = _imported(entry.target)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. An old name is answered with the new one, an unknown one with the nearest."""
        name = args[0]
        if name not in self.entries and not ctx.resilient_parsing and not name.startswith("-"):
            if ctx.parent is None and (sentence := renamed(args)):
                raise RenamedError(sentence)
            raise click.UsageError(f"no such command '{name}'; {nearest(name, self.entries)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in --help, for which none is imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.line) for name, entry in self.entries.items()])


def _imported(target: str) -> Any:
    module, attribute = target.split(":")
    return getattr(importlib.import_module(module), attribute)


@click.group(cls=LazyGroup, entries=TREE)
@click.version_option(__version__, prog_name="earthclip", message="%(prog)s %(version)s")
def cli() -> None:
    """Where on Earth was this picture taken?

    Locate pictures, and train and measure the models that do. Start with: earthclip locate PICTURE
    """


def main(argv: Sequence[str] | None = None, command: click.Command = cli, name: str = "earthclip") -> int:
    """Run the command line on ``argv`` (default: the process's own) and return its exit code.

    ``command`` and ``name`` let another program end in the same way: the recipes do.
    """
    if sys.stderr is None:  # closed by the shell (2>&-); print would take stdout instead
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # a stream that was replaced, by a test for one
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        code = command.main(args=None if argv is None else list(argv), prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except (_ReaderGoneError, BrokenPipeError):
        return _reader_went_away()
    except SystemExit as stop:
        return _code_of(stop)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else name
        return _fail(f"{error.format_message()} See '{path} --help'.")
    except click.ClickException as error:
        return _fail(error.format_message())
    except EarthCLIPError as error:
        return _fail(str(error))
    except OSError as error:  # what no module foresaw: a full disk, a file that vanished
        return _fail(f"{error.filename or 'input or output'}: {error.strerror or error}")
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _TRAIN_PACKAGES:
            raise
        return _fail(str(MissingExtraError("this command", "train", str(error.name))))
    return code if isinstance(code, int) else 0


@contextlib.contextmanager
def _broken_pipe_named() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise _ReaderGoneError from error


def _fail(message: str) -> int:
    with contextlib.suppress(BrokenPipeError):
        print(f"error: {one_line(message)}", file=sys.stderr)
    return 2


def _code_of(stop: SystemExit) -> int:
    if stop.code is None or isinstance(stop.code, int):
        return stop.code or 0
    return _fail(str(stop.code))


def _reader_went_away() -> int:
    with contextlib.suppress(OSError, ValueError):
        # Or the interpreter flushes what is left into the closed pipe on its way out, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE

"""How commands are laid out: their help, --quiet and --verbose, and answers to what was mistyped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from textwrap import dedent
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from earthclip.cli import status
from earthclip.cli.tree import RenamedError
from earthclip.errors import EarthCLIPError, InputError

F = TypeVar("F", bound=Callable[..., Any])
HELP_NAMES = {"help_option_names": ["-h", "--help"]}
_WHOLE = "\N{NON-BREAKING HYPHEN}"


def nearest(name: str, known: Iterable[str]) -> str:
    """What may have been meant, as the end of a message."""
    import difflib  # only where something was wrong: --help does without

    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"expected one of {', '.join(known)}."


class WholeWords(click.HelpFormatter):
    """Help whose lines end between words, never at a hyphen: ``--text-weight`` stays in one piece."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """The line of usage."""
        super().write_usage(prog, args.replace("-", _WHOLE), prefix)

    def write_text(self, text: str) -> None:
        """Paragraphs."""
        super().write_text(text.replace("-", _WHOLE))

    def write_dl(self, rows: Any, col_max: int = 30, col_spacing: int = 2) -> None:
        """Names and what they mean, side by side."""
        super().write_dl([(name, text.replace("-", _WHOLE)) for name, text in rows], col_max, col_spacing)

    def getvalue(self) -> str:
        """The whole help."""
        return super().getvalue().replace(_WHOLE, "-")


class Context(click.Context):
    """A context whose help keeps words whole."""

    formatter_class = WholeWords


class Option(click.Option):
    """An option of the first screen, or one under "Advanced options"."""

    def __init__(self, *names: Any, advanced: bool = False, **settings: Any) -> None:
        self.advanced = advanced
        super().__init__(*names, **settings)


class Command(click.Command):
    """A command with --quiet and --verbose, two sections of options, examples, and an answer to its old options."""

    context_class = Context

    def __init__(self, *, examples: str = "", old: Mapping[str, str] | None = None, **settings: Any) -> None:
        """``examples`` are command lines; ``old`` has what to type instead of an option that is gone."""
        self.examples = [line for line in dedent(examples).strip().splitlines() if line]
        self.old = old or {}
        settings["params"] = [*(settings.get("params") or []), *_verbosity()]
        super().__init__(**settings)

    def get_help_option_names(self, ctx: click.Context) -> list[str]:
        """The same in every context, since click keeps the option that it made for the first."""
        return HELP_NAMES["help_option_names"]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse. Raises RenamedError for an old option, UsageError naming the nearest for an unknown one."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = error.option_name
            if name in self.old:
                raise RenamedError(f"{name} is now '{self.old[name]}'") from error
            known = [name for parameter in self.get_params(ctx) for name in parameter.opts if name.startswith("--")]
            raise click.UsageError(f"no such option '{name}'; {nearest(name, known)}", ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run it. What the library says of a value is said of the option, or of the key of earthclip.toml."""
        try:
            return super().invoke(ctx)
        except EarthCLIPError as error:
            message = self._as_given(ctx, str(error))
            if message == str(error):
                raise
            raise InputError(message) from error

    def _as_given(self, ctx: click.Context, message: str) -> str:
        name, found, rest = message.partition(" is ")
        options = {one.name: one.opts[-1] for one in self.get_params(ctx) if isinstance(one, click.Option)}
        if found and name in options:
            return f"{options[name]} is {rest}"
        for key in ("runtime", "precision"):
            value, typed = ctx.params.get(key), ctx.get_parameter_source(key) is ParameterSource.COMMANDLINE
            if value and value != "auto" and not typed and value in message.lower():
                from earthclip.models.defaults import find_defaults

                return f'{find_defaults()}: {key} = "{value}": {message}'
        return message

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Both sections of options."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], "Advanced options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                sections["Advanced options" if getattr(parameter, "advanced", False) else "Options"].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, each on lines of its own."""
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {line}\n" for line in self.examples))


def command(**settings: Any) -> Callable[[Callable[..., Any]], Command]:
    """As ``click.command``, of a ``Command``: ``examples``, ``old`` and what click takes."""
    return click.command(cls=Command, **settings)


def option(*names: str, advanced: bool = False, **settings: Any) -> Callable[[F], F]:
    """As ``click.option``; ``advanced`` puts it under "Advanced options"."""
    return click.option(*names, cls=Option, advanced=advanced, **settings)


def _verbosity() -> list[Option]:
    """--quiet and --verbose, which every command has."""

    def heard(_: click.Context, parameter: click.Parameter, given: bool) -> None:
        status.set_verbosity(**{str(parameter.name): given})

    texts = {
        "quiet": "Print only warnings and errors beside the output.",
        "verbose": "Print what runs the model as well.",
    }
    return [
        Option([f"-{name[0]}", f"--{name}"], is_flag=True, expose_value=False, callback=heard, help=text)
        for name, text in texts.items()
    ]

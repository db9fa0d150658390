"""What all commands share: how their help is laid out, and the options that several of them take.

Each shared option is defined once: ``options.model()`` decorates with it, keyword arguments change its settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any, TypeVar

import click

from earthclip.cli import status
from earthclip.cli.tree import RenamedError
from earthclip.errors import InputError
from earthclip.models import PRECISIONS, RUNTIMES
from earthclip.pictures import VIEWS

F = TypeVar("F", bound=Callable[..., Any])
HELP_NAMES = {"help_option_names": ["-h", "--help"]}
# Spelled out, since to import them would load numpy; a test holds them together with the library's.
PRIORS = ("model", "land")
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
        settings["context_settings"] = {**HELP_NAMES, **(settings.get("context_settings") or {})}
        settings["params"] = [*(settings.get("params") or []), *_verbosity()]
        super().__init__(**settings)

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


def shared(*names: str, **settings: Any) -> Callable[..., Callable[[F], F]]:
    """An option that several commands take; what it is called with changes its settings."""

    def with_changes(*other_names: str, **changes: Any) -> Callable[[F], F]:
        return option(*(other_names or names), **{**settings, **changes})

    return with_changes


def pictures(required: bool = False, type: click.Path | None = None) -> Callable[[F], F]:
    """The argument PICTURE..., any number of paths of this machine or of ``type``."""
    return click.argument("pictures", metavar="PICTURE...", nargs=-1, required=required, type=type or path_type())


class LocalPath(click.Path):
    """A path of this machine. Raises InputError for an address, which only a cluster reads and writes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path as ``path_type`` has it."""
        if not str(value).strip():  # an unset variable, which would mean the current folder
            self.fail("expected a path, found nothing between the quotes.", param, ctx)
        if "://" in str(value) and not Path(value).exists():
            raise InputError(
                f"{value}: this command reads and writes local files; save the file first, or use 'earthclip cluster'"
            )
        return super().convert(value, param, ctx)


def path_type() -> LocalPath:
    """Any path of this machine, as a ``Path``."""
    return LocalPath(path_type=Path)


def _configured(name: str, otherwise: Any) -> Callable[[], Any]:
    """What earthclip.toml says of an option; it is read when the command runs, not for its help."""

    def value() -> Any:
        from earthclip.models.defaults import read_defaults

        return getattr(read_defaults(), name) or otherwise

    return value


model = shared(
    "--model",
    "source",
    metavar="MODEL",
    help="Model to use: orbit, geoclip, or the path of a model folder.",
)
region = shared(
    "--region",
    multiple=True,
    default=_configured("region", ()),
    metavar="WHERE",
    help="Only consider places inside WHERE. Repeat to allow several regions.",
)
runtime = shared(
    "--runtime",
    type=click.Choice(RUNTIMES),
    default=_configured("runtime", "auto"),
    advanced=True,
    help="Library that runs the model. `auto`, the default, picks the fastest one installed.",
)
precision = shared(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=_configured("precision", "auto"),
    advanced=True,
    help="Number format to run the model in. `auto`, the default, picks the fastest one that barely changes the "
    "embeddings.",
)
views = shared(
    "--views",
    type=click.Choice(VIEWS),
    default="none",
    show_default=True,
    help="Average over several views of each picture: its mirror image, or ten crops.",
)
output = shared(
    "-o",
    "--output",
    type=path_type(),
    metavar="FILE",
    callback=lambda ctx, parameter, path: None if path == Path("-") else path,
    help="Write to FILE. Its suffix decides the format. `-` is standard output.",
)
out_folder = shared("-o", "--out", type=path_type(), required=True, metavar="DIR", help="Write to the folder DIR.")
output_format = shared("--format", "format_", help="Output format. The default follows the suffix of FILE.")
force = shared("--force", is_flag=True, help="Replace files that exist.")
resume = shared("--resume", is_flag=True, help="Continue an interrupted run that was writing to FILE.")
images = shared("--images", type=path_type(), metavar="DIR", help="Folder of the pictures that a table names.")
text = shared(
    "--text",
    multiple=True,
    metavar="WORDS",
    help="Describe the place, alone or together with a picture. Repeat to locate several descriptions.",
)
text_weight = shared(
    "--text-weight",
    default=0.5,
    show_default=True,
    metavar="W",
    advanced=True,
    help="How much --text counts against the picture: 0 = picture only, 1 = text only.",
)
prior = shared(
    "--prior",
    type=click.Choice(PRIORS),
    default="model",
    show_default=True,
    help="What to assume before looking at the picture. `model` favours where its training photos were taken. `land` "
    "treats all land equally.",
)
top_k = shared("--top-k", default=5, show_default=True, metavar="K", help="Number of places to list for each picture.")
min_confidence = shared(
    "--min-confidence",
    default=0.0,
    metavar="P",
    help="Give no answer unless at least P (0 to 1) of the probability lies within 200 km of the best guess.",
)
refine = shared(
    "--refine",
    is_flag=True,
    advanced=True,
    help="Search between the model's fixed candidate places (experimental: no accuracy gain has been shown).",
)
full_size = shared(
    "--full-size",
    is_flag=True,
    advanced=True,
    help="Decode large JPEGs at full size. Reading takes about 3x as long. Probabilities change in the third digit.",
)
listed = shared(
    "--list",
    "listed",
    type=path_type(),
    metavar="FILE",
    advanced=True,
    help="Read picture paths from FILE, one per line (`-` for standard input).",
)
seed = shared("--seed", default=0, show_default=True, metavar="N", help="Random seed.")
backbone = shared(
    "--backbone",
    required=True,
    metavar="CLIP",
    help="Frozen CLIP-like model to run: a folder, or OWNER/NAME on the Hugging Face Hub.",
)
feature_views = shared(
    "--views",
    default=1,
    show_default=True,
    metavar="N",
    help="Number of views of each photo. View 1 is the photo itself, the others are random SimCLR views.",
)
workers = shared(
    "--workers",
    type=click.IntRange(0),
    metavar="N",
    help="Processes that read pictures. The default is one per processor.",
)


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

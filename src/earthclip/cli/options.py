"""The options that several commands take.

Each shared option is defined once: ``options.model()`` decorates with it, keyword arguments change its settings.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from earthclip.cli import status
from earthclip.cli.layout import F as F
from earthclip.cli.layout import command as command
from earthclip.cli.layout import option as option
from earthclip.errors import InputError, readable
from earthclip.models import PRECISIONS, RUNTIMES
from earthclip.pictures import VIEWS

# Spelled out, since to import them would load numpy; a test holds them together with the library's.
PRIORS = ("model", "land")


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


class Words(click.types.StringParamType):
    """Text, read as UTF-8 whatever the locale."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text."""
        return readable(super().convert(value, param, ctx))


model = shared(
    "--model",
    "source",
    metavar="MODEL",
    help="Model to use: orbit, geoclip, the path of a model folder, or auto. `auto`, the default, is geoclip if you "
    "have pulled it, but orbit for pictures that orbit knows to be of its kind; otherwise orbit.",
)
one_model = partial(
    model,
    help="Model to use: orbit, geoclip, the path of a model folder, or auto. `auto`, the default, is geoclip if you "
    "have pulled it, otherwise orbit.",
)
region = shared(
    "--region",
    multiple=True,
    default=_configured("region", ()),
    type=Words(),
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


def _format_heard(_: click.Context, __: click.Parameter, name: str | None) -> str | None:
    if name not in (None, "table", "text"):
        status.machine_readable_stdout()
    return name


output_format = shared(
    "--format", "format_", callback=_format_heard, help="Output format. The default follows the suffix of FILE."
)
force = shared("--force", is_flag=True, help="Replace files that exist.")
resume = shared("--resume", is_flag=True, help="Continue an interrupted run that was writing to FILE.")
images = shared("--images", type=path_type(), metavar="DIR", help="Folder of the pictures that a table names.")
text = shared(
    "--text",
    multiple=True,
    type=Words(),
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
index = shared(
    "--index",
    type=path_type(),
    multiple=True,
    metavar="DIR",
    help="Use the photos of an index (see `earthclip index`) as references, too. Repeatable.",
)
min_confidence = shared(
    "--min-confidence",
    default=0.0,
    metavar="P",
    help="Give no answer unless at least P (0 to 1) of the probability lies within 200 km of the best guess.",
)
force_answer = shared(
    "--force-answer",
    is_flag=True,
    advanced=True,
    help="Give places for a picture that is not of the model's kind, too.",
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

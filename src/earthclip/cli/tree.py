"""The commands of ``earthclip``, written once: where each is, its line in the help, and where old names went."""

from __future__ import annotations

from dataclasses import dataclass, field

import click


class RenamedError(click.ClickException):
    """An old name, answered with the new one."""


@dataclass(frozen=True)
class Entry:
    """A command (``target`` is "module:attribute") or a group (``below`` has its commands).

    ``more`` follows the line in a group's own help. ``rewrite``, "module:function", is called with the arguments of a
    group that begin with none of its commands; it returns the arguments to use instead, or raises click.UsageError or
    RenamedError.
    """

    line: str
    target: str = ""
    below: dict[str, Entry] = field(default_factory=dict)
    more: str = ""
    rewrite: str = ""


_DATASETS = """A DATASET is one of

\b
photos/                    a folder whose photos have GPS positions
table.csv, table.parquet   names, latitudes, longitudes; photos in --images
'shards/*.tar'             WebDataset; s3://bucket/{0000..0099}.tar too
hf:NAME, hf:NAME@SPLIT     Hugging Face data sets
mp16:DIR, im2gps:DIR, im2gps3k:DIR, yfcc4k:DIR, yfcc26k:DIR, gws15k:DIR,
osv5m:DIR, osv5m:DIR@train, commons26:DIR: a benchmark as published
"""

TREE = {
    "locate": Entry("Guess where pictures were taken.", "earthclip.cli.locate:locate"),
    "apply": Entry("Write the positions of a plan, or take them out.", "earthclip.cli.apply:apply"),
    "privacy": Entry(
        "Show what photos reveal, or remove their metadata.",
        below={
            "check": Entry("Report what each photo reveals.", "earthclip.cli.privacy:check"),
            "strip": Entry("Write copies without metadata.", "earthclip.cli.privacy:strip"),
        },
    ),
    "embed": Entry(
        "Turn images or places into embeddings.",
        below={
            "images": Entry("Turn images into embeddings.", "earthclip.cli.embed:images"),
            "places": Entry("Turn coordinates into embeddings.", "earthclip.cli.embed:places"),
        },
        rewrite="earthclip.cli.embed:renamed",
    ),
    "evaluate": Entry(
        "Measure accuracy on pictures whose places are known.",
        below={
            "model": Entry("Measure a model on a data set.", "earthclip.cli.evaluate:evaluate_model"),
            "table": Entry("Measure a table of predictions.", "earthclip.cli.evaluate:evaluate_table"),
        },
        rewrite="earthclip.cli.evaluate:renamed",
    ),
    "model": Entry(
        "List, fetch and prepare models.",
        below={
            "list": Entry("List the models and what each is for.", "earthclip.cli.model_list:list_models"),
            "info": Entry("Describe one model.", "earthclip.cli.model_info:info"),
            "pull": Entry("Fetch a published model and make it ready to run.", "earthclip.cli.model_pull:pull"),
            "calibrate": Entry("Calibrate a model's probabilities.", "earthclip.cli.model_calibrate:calibrate"),
            "quantize": Entry("Make a model faster with int8 numbers.", "earthclip.cli.model_quantize:quantize"),
            "export": Entry("Export a training run as a runnable model.", "earthclip.cli.model_export:export"),
        },
    ),
    "data": Entry(
        "Check and split sets of photos with known places.",
        below={
            "check": Entry("Report what is wrong with a data set.", "earthclip.cli.data:check"),
            "split": Entry("Split a data set into parts.", "earthclip.cli.data:split"),
        },
        more=_DATASETS,
    ),
    "index": Entry(
        "Index photos with known places as a reference for locating.",
        below={
            "build": Entry("Make an index of photos.", "earthclip.cli.index:build"),
            "add": Entry("Add new and changed photos.", "earthclip.cli.index:add"),
            "remove": Entry("Take photos out.", "earthclip.cli.index:remove"),
            "info": Entry("Describe an index.", "earthclip.cli.index:info"),
        },
    ),
    "features": Entry("Precompute image features for training.", "earthclip.cli.features:features"),
    "train": Entry("Train a model from a configuration file.", "earthclip.cli.train:train"),
    "cluster": Entry(
        "Run locate, embed or features on many machines with Ray.",
        below={
            "locate": Entry("Guess where pictures were taken.", "earthclip.cli.cluster:locate"),
            "embed": Entry(
                "Turn images or places into embeddings.",
                below={
                    "images": Entry("Turn images into embeddings.", "earthclip.cli.cluster:images"),
                    "places": Entry("Turn coordinates into embeddings.", "earthclip.cli.cluster:places"),
                },
            ),
            "features": Entry("Precompute image features for training.", "earthclip.cli.cluster:features"),
        },
    ),
    "serve": Entry("Serve an HTTP API and a page with a map.", "earthclip.cli.serve:serve"),
}

# What was a command of earthclip in the version before, and what to type now.
OLD_NAMES = {
    "models": "earthclip model list",
    "pull": "earthclip model pull",
    "calibrate": "earthclip model calibrate",
    "quantize": "earthclip model quantize",
    "export": "earthclip model export",
    "orbit": "python -m recipes.orbit",
    "probe": "python -m recipes.probes",
}


def renamed(arguments: list[str]) -> str | None:
    """How to type what began with an old name, as a sentence; None for a name that never was."""
    name, *rest = arguments
    new = OLD_NAMES.get(name)
    if new is None:
        return None
    if not new.startswith("python"):
        return f"'earthclip {name}' is now '{new}'"
    then = f" {rest[0]}" if rest and not rest[0].startswith("-") else ""
    return f"'earthclip {name}{then}' is now '{new}{then}', run from a clone of the repository"

"""The documentation site: sphinx-build -W -b html docs build/docs (the extras ``dev`` and ``docs``)."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "src"))
# The notebook runs in a process of its own, on the same source.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
os.environ["COLUMNS"] = "100"  # of the help texts

from earthclip import __version__  # noqa: E402

project, author, copyright = "EarthCLIP", "the EarthCLIP developers", "the EarthCLIP developers, MIT licence"
release = version = __version__
html_theme, html_title = "furo", f"EarthCLIP {version}"
html_theme_options = {"source_repository": "https://github.com/earthclip/earthclip/", "source_branch": "main"}
html_theme_options["source_directory"] = "docs/"
extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["build"]
nitpicky = False  # numpy and jaxtyping have no inventory that can be read without a network

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
suppress_warnings = ["config.cache"]

_FILES = "https://github.com/earthclip/earthclip/blob/main/"


def _links_to_files(app: object, docname: str, source: list[str]) -> None:
    """Links that leave docs/ lead to the repository; what the pages say on GitHub stays as it is."""
    source[0] = re.sub(r"\]\((?:\.\./)+(?!tutorials|reference)(?=[A-Za-z])(?![\w-]+\.md)", f"]({_FILES}", source[0])


def _help_texts(app: object, docname: str, source: list[str]) -> None:
    """The page of commands, made of what ``--help`` prints."""
    if docname != "reference/commands":
        return
    from click.testing import CliRunner

    from earthclip.cli import cli
    from earthclip.cli.tree import TREE, Entry

    def sections(entries: dict[str, Entry], above: tuple[str, ...]) -> list[str]:
        parts = []
        for name, entry in entries.items():
            words = (*above, name)
            done = CliRunner().invoke(cli, [*words, "--help"], prog_name="earthclip")
            assert done.exit_code == 0, done.output
            parts.append(f"## earthclip {' '.join(words)}\n\n```text\n{done.output.rstrip()}\n```\n")
            parts += sections(entry.below, words)
        return parts

    source[0] += "\n" + "\n".join(sections(TREE, ()))


def setup(app: object) -> None:
    app.connect("source-read", _links_to_files)  # type: ignore[attr-defined]
    app.connect("source-read", _help_texts)  # type: ignore[attr-defined]

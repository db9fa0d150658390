"""A report's document as plain text, Markdown and HTML."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tabulate import tabulate

from earthclip.errors import MissingExtraError
from earthclip.evaluation.document import Cell, Section, Table

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_MARKS = re.compile(r"([\\`*_\[\]<>|#~&!])")


def to_text(section: Section) -> str:
    """A title, its paragraphs and tables with aligned columns."""
    blocks = [clean(section.title), *map(clean, section.paragraphs), *map(_aligned, section.tables)]
    return "\n\n".join(blocks)


def to_markdown(sections: Sequence[Section], links: Mapping[str, str] | None = None) -> str:
    """The document as Markdown; ``links`` gives each picture's address by its name, those without are left out.

    Whatever systems and tables are called stays text: what would be markup is escaped.
    """
    blocks = []
    for number, section in enumerate(sections):
        blocks.append(f"{'##' if number else '#'} {escaped(section.title)}")
        blocks += map(escaped, section.paragraphs)
        blocks += map(_piped, section.tables)
        addresses = ((picture, (links or {}).get(picture.name)) for picture in section.pictures)
        blocks += [f"![{escaped(picture.alt)}](<{address}>)" for picture, address in addresses if address]
    return "\n\n".join(blocks) + "\n"


def escaped(text: str) -> str:
    """The text on one line, with what Markdown would take for markup escaped."""
    return _MARKS.sub(r"\\\1", clean(text))


def clean(text: str) -> str:
    """The text on one line, without what cannot be printed: names come from strangers' files."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def _aligned(table: Table) -> str:
    return _drawn(table, "plain", clean, [[clean(str(cell)) for cell in row] for row in table.rows])


def _piped(table: Table) -> str:
    rows = [[_marked_up(cell) for cell in row] for row in table.rows]
    for number in table.marked:
        rows[number][0] = f"**{rows[number][0]}**"
    return _drawn(table, "pipe", escaped, rows)


def _marked_up(cell: Cell) -> str:
    return escaped(cell.value) + (f" *({escaped(cell.interval)})*" if cell.interval else "")


def _drawn(table: Table, form: str, show: Callable[[str], str], rows: list[list[str]]) -> str:
    sides = ["left" if column in table.words else "right" for column in range(len(table.header))]
    return str(tabulate(rows, list(map(show, table.header)), form, colalign=sides, disable_numparse=True))


# Nothing may be fetched or run, whatever a system or a table is called.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2730; --pale: #5b6772; --line: #d5dce2; --page: #ffffff; --mark: #fff4d6 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebef; --pale: #a3aeb8; --line: #3a454f; --page: #14191d; --mark: #3b3420 }
}
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: var(--ink); background: var(--page);
  font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.7rem; overflow-wrap: anywhere } h2 { font-size: 1.25rem; margin-top: 2.5rem }
table { display: block; overflow-x: auto; border-collapse: collapse; margin: 1rem 0;
  font-variant-numeric: tabular-nums }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--pale); font-weight: 600; vertical-align: bottom }
tr:has(strong) td { background: var(--mark) } strong { font-weight: inherit }
td em { display: block; color: var(--pale); font-size: smaller; font-style: normal; white-space: nowrap }
img { max-width: 100%; height: auto; background: #ffffff } p { max-width: 48rem } p:has(img) { max-width: none }
footer { margin-top: 3rem; color: var(--pale); font-size: .85rem }
@media (max-width: 30rem) { th, td { padding-inline: .3rem } }
"""


def to_html(sections: Sequence[Section], footer: str = "") -> str:
    """The document's Markdown as a page, the first section titled as the whole; every text of theirs is escaped."""
    pictures = (picture for section in sections for picture in section.pictures)
    links = {picture.name: f"data:image/png;base64,{base64.b64encode(picture.png).decode()}" for picture in pictures}
    body = open_markdown().render(to_markdown(sections, links))
    body = body.replace("<table>", '<table tabindex="0">')  # wide ones scroll, by keyboard too
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(clean(sections[0].title))}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
{body}</main>
<footer>{html.escape(clean(footer))}</footer>
</body>
</html>
"""


def open_markdown() -> MarkdownIt:
    """What makes HTML of Markdown, without HTML inside. Raises MissingExtraError without the extra ``map``."""
    try:
        from markdown_it import MarkdownIt
    except ImportError as error:
        raise MissingExtraError("a report as HTML", "map", "markdown-it-py") from error
    return MarkdownIt("commonmark", {"html": False, "xhtmlOut": False}).enable("table")

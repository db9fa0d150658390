"""Sections as text for a terminal, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from earthclip.evaluation.document import Section, Table

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
    rows = [list(table.header), *([clean(str(cell)) for cell in row] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = zip(row, widths, strict=True)
        padded = [f"{v:<{w}}" if column in table.words else f"{v:>{w}}" for column, (v, w) in enumerate(cells)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _piped(table: Table) -> str:
    rules = ["---" if column in table.words else "---:" for column in range(len(table.header))]
    lines = [list(map(escaped, table.header)), rules]
    for number, row in enumerate(table.rows):
        cells = [escaped(str(cell)) for cell in row]
        if number in table.marked:
            cells[0] = f"**{cells[0]}**"
        lines.append(cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

"""A report's document as plain text, Markdown and HTML."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence

from earthclip.evaluation.document import Cell, Picture, Section, Table

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
.table { overflow-x: auto } table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top }
th { color: var(--pale); font-weight: 600; vertical-align: bottom } .word { text-align: left }
tr.marked td { background: var(--mark) } td small { display: block; color: var(--pale); white-space: nowrap }
figure { margin: 1.5rem 0 } img { max-width: 100%; height: auto; background: #ffffff } p { max-width: 48rem }
footer { margin-top: 3rem; color: var(--pale); font-size: .85rem }
"""


def to_html(sections: Sequence[Section], footer: str = "") -> str:
    """The document of ``sections``, the first titled as the whole; every text of theirs is escaped."""
    parts = []
    for number, section in enumerate(sections):
        level = 2 if number else 1
        parts.append(f"<h{level}>{_text(section.title)}</h{level}>")
        parts += [f"<p>{_text(paragraph)}</p>" for paragraph in section.paragraphs]
        parts += map(_table, section.tables)
        parts += map(_figure, section.pictures)
    title = _text(sections[0].title)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
{chr(10).join(parts)}
</main>
<footer>{_text(footer)}</footer>
</body>
</html>
"""


def _table(table: Table) -> str:
    def line(cells: Sequence[str], tag: str, kind: str = "") -> str:
        words = [' class="word"' if column in table.words else "" for column in range(len(cells))]
        inner = "".join(f"<{tag}{word}>{cell}</{tag}>" for word, cell in zip(words, cells, strict=True))
        return f"<tr{kind}>{inner}</tr>"

    head = line([_text(name) for name in table.header], "th")
    rows = [
        line([_cell(cell) for cell in row], "td", ' class="marked"' if number in table.marked else "")
        for number, row in enumerate(table.rows)
    ]
    body = "\n".join(rows)
    return f'<div class="table"><table>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def _cell(cell: Cell) -> str:
    return _text(cell.value) + (f"<small>{_text(cell.interval)}</small>" if cell.interval else "")


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode()
    return f'<figure><img src="data:image/png;base64,{data}" alt="{_text(picture.alt)}"></figure>'


def _text(text: str) -> str:
    return html.escape(clean(text))

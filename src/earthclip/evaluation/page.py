"""Sections as one HTML file that opens in any browser without a network: style and pictures are in it."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

from earthclip.evaluation.document import Cell, Picture, Section, Table
from earthclip.evaluation.plain import clean

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

"""Self-contained HTML pages: sections of text, tables and plots, one file that opens anywhere.

A page asks the network for nothing and runs no script; it follows the reader's light or dark
setting, and every text is escaped. This module knows no runs or strategies: callers bring names and
numbers, words from `markup` and plots from `plots`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import BadSettings
from .markup import Html, NumberText, escape_text, left_out, note_line

ROWS_MAX = 2000  # of one table; the rest is left out, and the note under the table says so


@dataclass(frozen=True)
class PageSection:
    """One titled part of a page; made by `make_section`."""

    title: str
    body: Html


def make_page(title: str, subtitle: str, sections: Sequence[PageSection]) -> str:
    """A whole document; with more than three sections it opens with a table of contents."""
    anchors = _make_anchors([part.title for part in sections])
    parts = [
        f'<section id="{anchor}">\n<h2>{escape_text(part.title)}</h2>\n{part.body}\n</section>'
        for anchor, part in zip(anchors, sections, strict=True)
    ]
    if len(sections) > 3:
        links = "".join(
            f'<li><a href="#{anchor}">{escape_text(part.title)}</a></li>'
            for anchor, part in zip(anchors, sections, strict=True)
        )
        parts.insert(0, f'<nav aria-label="Contents"><ol>{links}</ol></nav>')
    body = "\n".join(parts)
    return _PAGE.format(
        title=escape_text(title), subtitle=escape_text(subtitle), style=_STYLE, body=body
    )


def make_section(title: str, *blocks: str) -> PageSection:
    """A part of a page. A block that is not `Html` is taken as plain text, a paragraph."""
    return PageSection(
        title, Html("\n".join(b if isinstance(b, Html) else make_paragraph(b) for b in blocks))
    )


def make_paragraph(text: str) -> Html:
    """Plain text as a paragraph; a blank line in it begins another.

    >>> make_paragraph("a < b")
    '<p>a &lt; b</p>'
    """
    return Html(
        "\n".join(f"<p>{escape_text(part)}</p>" for part in re.split(r"\n\s*\n", text.strip()))
    )


def make_notice(*sentences: str) -> Html:
    """Sentences that the reader has to know first, set apart, one a line."""
    lines = "".join(f"<p>{escape_text(sentence)}</p>" for sentence in sentences)
    return Html(f'<div class="notice" role="note">{lines}</div>' if sentences else "")


def make_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str | None]],
    *,
    caption: str = "",
) -> Html:
    """A table that scrolls sideways where it does not fit; `None` is shown as a dash.

    A column of `NumberText`s is aligned right. The first column names its row. At most `ROWS_MAX`
    rows are shown. Raises BadSettings for a ragged row.
    """
    wrong = [f"table row {i} has {len(row)} cells; must have {len(header)}, as the header"
             for i, row in enumerate(rows) if len(row) != len(header)]  # fmt: skip
    if wrong:
        raise BadSettings(wrong)
    shown = rows[:ROWS_MAX]
    columns = [[row[j] for row in shown] for j in range(len(header))]
    aligned = [' class="number"' if _is_numeric(column) else "" for column in columns]
    head = "".join(
        f'<th scope="col"{kind}>{escape_text(name)}</th>'
        for name, kind in zip(header, aligned, strict=True)
    )
    lines = []
    for row in shown:
        cells = []
        for j, cell in enumerate(row):
            text = escape_text("–" if cell is None else cell)
            cells.append(
                f'<th scope="row"{aligned[j]}>{text}</th>'
                if j == 0
                else f"<td{aligned[j]}>{text}</td>"
            )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    title = f"<caption>{escape_text(caption)}</caption>" if caption else ""
    note = left_out(len(rows) - len(shown))
    name = escape_text(caption or "Table")
    return Html(
        f'<div class="scroll" role="region" tabindex="0" aria-label="{name}">'
        f"<table>{title}<thead><tr>{head}</tr></thead>\n<tbody>\n"
        + "\n".join(lines)
        + f"\n</tbody></table></div>{note_line(note)}"
    )


# -------------------------------------------------------------------------- parts of the blocks


def _make_anchors(titles: Sequence[str]) -> list[str]:
    """Make a readable and unique id for each section, so that links outlive edits elsewhere."""
    anchors: list[str] = []
    for title in titles:
        base = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
        anchor, n = base, 2
        while anchor in anchors:
            anchor, n = f"{base}-{n}", n + 1
        anchors.append(anchor)
    return anchors


def _is_numeric(column: Sequence[str | None]) -> bool:
    known = [cell for cell in column if cell is not None]
    return bool(known) and all(isinstance(cell, NumberText) for cell in known)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{subtitle}</p>
</header>
<main>
{body}
</main>
</body>
</html>
"""

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5b646d; --line: #dfe3e7;
  --page: #ffffff; --shade: #f5f7f8; --link: #1663b0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ea; --soft: #9aa4ae; --line: #30363c; --page: #15171b; --shade: #1d2025;
    --link: #6cb0f0; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 56rem; padding: 2rem 1.25rem 4rem; color: var(--ink);
  background: var(--page); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 2.75rem 0 .75rem; }
header { padding-bottom: 1rem; border-bottom: 1px solid var(--line); }
header p { color: var(--soft); margin: .4rem 0 0; }
p { max-width: 46rem; }
a { color: var(--link); }
nav { margin: 1.25rem 0; padding: .75rem 1rem; background: var(--shade); border-radius: .4rem; }
nav ol { margin: 0; padding-left: 1.4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-size: .94rem;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { padding: .4rem .9rem .4rem 0; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 500; position: sticky; left: 0; background: var(--page); min-width: 8rem; }
th.number, td.number { text-align: right; padding: .4rem 0 .4rem 1.4rem; white-space: nowrap; }
td.number + td:not(.number), th.number + th:not(.number) { padding-left: 1.4rem; }
figure { margin: 1.5rem 0; }
figcaption { font-weight: 600; margin-bottom: .4rem; }
svg { stroke-linejoin: round; }
.plot svg { display: block; width: 100%; min-width: 35rem; height: auto; }
svg text { fill: currentColor; }
.notice { margin: 1.25rem 0; padding: .25rem 1rem; background: var(--shade);
  border-left: .25rem solid #d9a400; }
.notice p { margin: .5rem 0; }
.note { color: var(--soft); font-size: .9rem; margin: .3rem 0; }
@media print {
  :root { color-scheme: light; --ink: #000000; --soft: #444444; --line: #bbbbbb; --page: #ffffff;
    --shade: #ffffff; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  figure, tr, .notice { break-inside: avoid; }
  h2, caption { break-after: avoid; }
  .plot svg { min-width: 0; }
  .scroll { overflow: visible; }
}
"""

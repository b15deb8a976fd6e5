"""Hooks of the site: README.md is its first page; links and blocks are rewritten for it.

The site holds the pages of `docs/` alone. A link from there to a file of the repository, such as
an example, can't be followed in it, so the site shows the text and the path of the file. A block
that names its file or its part gets this name as its title.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)\s:#]+)(?P<anchor>#[^)\s]*)?\)")
FENCE = re.compile(r"^(?P<fence>```[a-z]+) (?P<name>[\w./ -]+)$", re.MULTILINE)
DECISIONS = "0001-answers-do-not-move-the-clock.md"


def on_files(files: Files, config: Any) -> Files:
    """Add README.md as the first page."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=_rewrite_links(readme, folder=".")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite the links of a page of `docs/` that lead out of it, and the names of its blocks."""
    path = page.file.src_uri
    if path == "index.md":
        return markdown
    markdown = FENCE.sub(r'\g<fence> title="\g<name>"', markdown)
    return _rewrite_links(markdown, folder=posixpath.join("docs", posixpath.dirname(path)))


def _rewrite_links(markdown: str, folder: str) -> str:
    def rewrite_link(link: re.Match[str]) -> str:
        text, target, anchor = link["text"], link["target"], link["anchor"] or ""
        path = posixpath.normpath(posixpath.join(folder, target))
        if path == "docs/adr":
            return f"[{text}]({_from(folder, f'docs/adr/{DECISIONS}')})"
        if path == "README.md":
            return f"[{text}]({_from(folder, 'docs/index.md')}{anchor})"
        if path.startswith("docs/"):
            return f"[{text}]({_from(folder, path)}{anchor})"
        return text if path in text else f"{text} (`{path}`)"

    without_images = LINK.sub(rewrite_link, markdown)
    return without_images.replace("](docs/img/", "](img/") if folder == "." else without_images


def _from(folder: str, path: str) -> str:
    return posixpath.relpath(path, "docs" if folder == "." else folder)

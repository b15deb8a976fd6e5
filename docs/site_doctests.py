"""Extension of mkdocstrings: examples in docstrings are code blocks, not quotations.

Our examples stand behind the sections of a docstring, without a title from which mkdocstrings would
know them. Links to pages of `docs/` are rewritten, as the reference is a folder below them.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
PAGE = re.compile(r"(?<=\]\()(?=[\w-]+\.md\b)")


class FenceDoctests(griffe.Extension):
    """Puts every example of a docstring into a fenced block."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute, where it has one."""
        if obj.docstring is not None:
            fenced = EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", obj.docstring.value)
            obj.docstring.value = PAGE.sub("../", fenced)

"""The public names are those of tests/public_api.txt, and each says what it is.

    python tests/repo/test_public_api.py

writes the list anew; a commit that changes it says so in the changelog.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import headrace
from repo.test_docs import blocks
from repo.tree import ROOT

LIST = Path(__file__).parents[1] / "public_api.txt"
PUBLIC_RULE = (
    "Examples and docs import public names alone (tests/public_api.txt): what a user needs that is "
    "not public gets a place in headrace, headrace.embedding or headrace.extending."
)
MODULES = (
    "headrace",
    "headrace.drivers.kafka.client",
    "headrace.embedding",
    "headrace.extending",
    "headrace.models",
    "headrace.query.budgets",
    "headrace.query.strategies",
    "headrace.settings",
    "headrace.testing",
    "headrace.testing.oracles",
)


def public(module: ModuleType) -> list[str]:
    """`__all__` where there is one, else what the module and those below it define; sorted."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    return sorted(
        name
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and (getattr(thing, "__module__", None) or "").startswith(module.__name__)
    )


def public_names() -> list[str]:
    return [f"{name}:{one}" for name in MODULES for one in public(importlib.import_module(name))]


def test_the_public_names_are_the_listed_ones() -> None:
    listed = LIST.read_text(encoding="utf-8").splitlines()
    assert public_names() == listed, "python tests/repo/test_public_api.py writes the list anew"


@pytest.mark.parametrize("name", public_names())
def test_every_public_class_and_function_has_a_docstring(name: str) -> None:
    module, _, attribute = name.partition(":")
    thing = getattr(importlib.import_module(module), attribute)
    if not (inspect.isclass(thing) or inspect.isfunction(thing) or inspect.ismodule(thing)):
        return
    told = (thing.__doc__ or "").strip()
    # A dataclass without a docstring gets its signature for one.
    assert told and not told.startswith(f"{attribute}(")


REFERENCE = sorted((ROOT / "docs" / "reference").glob("*.md"))


def shown_things() -> list[object]:
    """What the reference shows: an object, or a module and the public names in it."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in REFERENCE)
    shown: list[object] = []
    for path in re.findall(r"^::: (\S+)$", pages, re.MULTILINE):
        thing = pkgutil.resolve_name(path)
        shown.append(thing)
        if inspect.ismodule(thing):
            shown += [getattr(thing, name) for name in public(thing)]
    return shown


def test_the_reference_has_every_public_name() -> None:
    shown = shown_things()
    listed = [name.partition(":") for name in public_names()]
    lacking = [
        f"{module}:{name}"
        for module, _, name in listed
        if not any(getattr(importlib.import_module(module), name) is one for one in shown)
    ]
    assert lacking == []


def test_the_package_names_what_it_gives_out() -> None:
    named = set(re.findall(r"`(\w+)`", headrace.__doc__ or ""))
    assert [name for name in headrace.__all__ if name not in named] == []


def imports_of(code: str) -> Iterator[tuple[str, str]]:
    """What code takes from Headrace, as (module, name), also as attributes of `hr`."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "headrace":
            yield from ((str(node.module), alias.name) for alias in node.names)
        elif isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "hr":
            yield "headrace", node.attr


SHOWN = [
    *((path, path.read_text(encoding="utf-8")) for path in sorted(ROOT.glob("examples/**/*.py"))),
    *(
        (path, code)
        for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
        for code in blocks(path, "python")
    ),
]


def test_users_are_shown_public_names_alone() -> None:
    known = {tuple(name.split(":")) for name in public_names()} | {("headrace", "__version__")}
    found = [
        f"{path.relative_to(ROOT)}: {module}:{name}"
        for path, code in SHOWN
        for module, name in imports_of(code)
        if (module, name) not in known
    ]
    assert len(SHOWN) > 40
    assert found == [], PUBLIC_RULE


def test_names_are_found_where_they_are_imported_or_used() -> None:
    code = "import headrace as hr\nfrom headrace.settings import parse\nhr.Engine()\nother.x"
    assert list(imports_of(code)) == [("headrace.settings", "parse"), ("headrace", "Engine")]


if __name__ == "__main__":
    LIST.write_text("\n".join(public_names()) + "\n", encoding="utf-8")

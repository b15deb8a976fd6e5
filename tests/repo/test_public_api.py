"""The public names are those of tests/public_api.txt, and each says what it is.

    python tests/repo/test_public_api.py

writes the list anew; a commit that changes it says so in the changelog.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from types import ModuleType

import pytest

LIST = Path(__file__).parents[1] / "public_api.txt"
MODULES = (
    "headrace",
    "headrace.models",
    "headrace.query.budgets",
    "headrace.query.strategies",
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


if __name__ == "__main__":
    LIST.write_text("\n".join(public_names()) + "\n", encoding="utf-8")

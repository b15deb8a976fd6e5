"""Tidiness that ruff does not know: sizes, names, walked sets, left-overs, foreign paths."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from repo.tree import ROOT, SOURCE, files, is_core, modules

FILE_LINES_MAX = 500
TEST_LINES_MAX = 650
FUNCTION_LINES_MAX = 70

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# A name says what the thing is or does; these fit anything.
BANNED = {
    word + plural
    for word in ("manager", "handler", "helper", "util", "data", "info", "item")
    for plural in ("", "s")
}
# Terms of the field in which a banned word says something.
TERMS = {"gaussian_process"}
# In two parts, or this file would hold what it looks for.
LEFT_OVERS = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
MACHINE_PATHS = re.compile(
    r"(?<![\w.~)}])/(?:wo" + r"rk|ro" + r"ot|ho" + r"me|tm" + r"p)(?=[/\s\"'`]|$)"
)
REGISTRIES = re.compile(
    "|".join(name.replace("_", r"\.") for name in ("pypi_org", "pythonhosted_org", "npmjs_org"))
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree_of(module: Path) -> ast.Module:
    return ast.parse((SOURCE / module).read_text(encoding="utf-8"))


PYTHON = [path for path in files() if path.suffix == ".py"]


def test_no_file_is_too_long_to_read() -> None:
    found = {}
    for path in PYTHON:
        lines_max = TEST_LINES_MAX if path.is_relative_to(ROOT / "tests") else FILE_LINES_MAX
        lines_n = len(path.read_text(encoding="utf-8").splitlines())
        if lines_n > lines_max:
            found[name_of(path)] = lines_n
    assert found == {}


def test_no_function_is_too_long_to_see() -> None:
    found = {}
    for module in modules():
        for node in ast.walk(tree_of(module)):
            if isinstance(node, FUNCTIONS):
                lines_n = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines_n > FUNCTION_LINES_MAX:
                    found[f"{module}:{node.name}"] = lines_n
    assert found == {}


def test_no_name_is_a_word_that_says_nothing() -> None:
    found = []
    for module in modules():
        names = [module.stem]
        names += [
            node.name
            for node in ast.walk(tree_of(module))
            if isinstance(node, (*FUNCTIONS, ast.ClassDef))
        ]
        for name in names:
            plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
            words = [] if plain in TERMS else plain.split("_")
            found += [f"{module}:{name}" for word in words if word in BANNED]
    assert found == []


def is_set(node: ast.expr) -> bool:
    made = isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("set", "frozenset")
    return made or isinstance(node, ast.Set | ast.SetComp)


@pytest.mark.parametrize("module", [m for m in modules() if is_core(m)], ids=str)
def test_no_set_is_walked_in_the_core(module: Path) -> None:
    """The order of a set of texts changes with `PYTHONHASHSEED`; `sorted(...)` is the way out."""
    walked = []
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.For | ast.comprehension):
            walked += [node.iter.lineno] if is_set(node.iter) else []
        elif isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            is_walk = name in ("list", "tuple", "enumerate", "iter", "join", "fromkeys")
            walked += [node.lineno] if is_walk and is_set(node.args[0]) else []
    assert walked == []


@pytest.mark.parametrize("pattern", [LEFT_OVERS, MACHINE_PATHS, REGISTRIES], ids=str)
def test_no_left_over_and_nothing_of_one_machine(pattern: re.Pattern[str]) -> None:
    found = []
    for path in files():
        for i, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{name_of(path)}:{i}: {line.strip()[:80]}")
    assert found == []

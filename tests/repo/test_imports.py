"""Imports go one way, from commands to the core; the core imports nothing that acts.

Commands import drivers, drivers import pages and bridges, these import adapters, those the core.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from repo.tree import OUTER, SOURCE, is_core, modules

ACTING = {
    "asyncio", "concurrent", "http", "logging", "multiprocessing", "os", "random", "secrets",
    "select", "shutil", "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time",
    "urllib", "uuid",
}  # fmt: skip
CORE_RULE = (
    "The core decides and does nothing else: it imports no outer layer, no clock, no chance but "
    "its own, and nothing that reads or writes. What acts goes into adapters, bridges or drivers."
)
FLOW_RULE = (
    "The flow is the worker without Kafka: it waits for nothing and knows no client, so that tests "
    "can play a thousand clusters. What waits goes into drivers/kafka."
)
LAYER_RULE = (
    "Imports go one way: commands import drivers, drivers pages and bridges, these adapters, those "
    "the core. What two layers need goes into the lower one."
)
CIRCLE_RULE = (
    "No modules import each other in a circle, for types neither: a module that needs a type of "
    "another's says what it needs of it (a Protocol), or the part that both need moves below them."
)
LIGHT_RULE = (
    "`import headrace` loads no optional module and is fast: import such a module in the function "
    "that needs it."
)
OPTIONAL = ("matplotlib", "pandas", "prometheus_client", "pyarrow", "rich")
OWN_SECONDS_MAX = 1.0


@cache
def imported(module: Path) -> tuple[str, ...]:
    """Dotted names of what a module imports, anywhere in it, relative ones resolved."""
    return tuple(_imported(module))


def _imported(module: Path) -> Iterator[str]:
    package = ("headrace", *module.parent.parts)
    for node in ast.walk(ast.parse((SOURCE / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            where = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{where}.{alias.name}" for alias in node.names)


def outer_imports(module: Path, *outer: str) -> list[str]:
    return [
        name
        for name in imported(module)
        if name.startswith("headrace.") and name.split(".")[1] in outer
    ]


@pytest.mark.parametrize("module", [m for m in modules() if is_core(m)], ids=str)
def test_the_core_imports_no_outer_layer_and_nothing_that_acts(module: Path) -> None:
    assert outer_imports(module, *OUTER, "cli") == [], CORE_RULE
    acting = [n for n in imported(module) if n.split(".")[0] in ACTING or "numpy.random" in n]
    assert acting == [], CORE_RULE


def test_the_core_prints_and_opens_nothing_but_a_settings_file() -> None:
    found = []
    for module in filter(is_core, modules()):
        for node in ast.walk(ast.parse((SOURCE / module).read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in ("print", "open", "input", "read_text", "read_bytes", "write_text"):
                found.append(f"{module}: {name}")
    assert found == ["settings/loading.py: read_text"], CORE_RULE


@pytest.mark.parametrize("module", [m for m in modules() if m.parts[0] == "flow"], ids=str)
def test_the_flow_waits_for_nothing_and_knows_no_client(module: Path) -> None:
    tree = ast.parse((SOURCE / module).read_text(encoding="utf-8"))
    waiting = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)
    assert [node for node in ast.walk(tree) if isinstance(node, waiting)] == [], FLOW_RULE
    clients = [name for name in imported(module) if name.split(".")[0] in ("aiokafka", "faust")]
    assert clients == [], FLOW_RULE


LAYERS = {
    "adapters": ("bridges", "pages", "drivers", "commands", "testing", "cli"),
    "bridges": ("pages", "drivers", "commands", "testing", "cli"),
    "pages": ("bridges", "drivers", "commands", "testing", "cli"),
    "drivers": ("commands", "cli"),
}
"""What each folder may not import."""


@pytest.mark.parametrize("module", [m for m in modules() if m.parts[0] in LAYERS], ids=str)
def test_each_layer_imports_those_below_it(module: Path) -> None:
    assert outer_imports(module, "shells", *LAYERS[module.parts[0]]) == [], LAYER_RULE


@pytest.mark.parametrize("module", [m for m in modules() if m.parts[0] == "testing"], ids=str)
def test_what_is_shipped_for_tests_needs_the_core_and_bridges_alone(module: Path) -> None:
    outer = outer_imports(module, "commands", "drivers", "pages", "adapters", "cli")
    assert outer == [], LAYER_RULE


def test_import_headrace_is_light() -> None:
    """No optional module, and of Headrace's own modules less than a second."""
    code = f"import headrace, sys; print([m for m in {OPTIONAL} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]", LIGHT_RULE
    own_us = 0
    for line in done.stderr.splitlines():
        self_us, _, name = line.removeprefix("import time:").split("|")
        if name.strip().startswith("headrace"):
            own_us += int(self_us)
    assert 0 < own_us / 1e6 < OWN_SECONDS_MAX, LIGHT_RULE


def test_no_modules_import_each_other_in_a_circle() -> None:
    """For types neither: what needs a type of another says what it needs of it."""
    names = {name_of(module): module for module in modules()}
    wanted = {
        name: {found for one in imported(module) if (found := _known(one, names)) not in ("", name)}
        for name, module in names.items()
    }
    # What imports nothing that is left goes, until nothing does.
    while free := {name for name, others in wanted.items() if not others}:
        wanted = {name: others - free for name, others in wanted.items() if name not in free}
    assert sorted(wanted) == [], CIRCLE_RULE


def name_of(module: Path) -> str:
    return ".".join(("headrace", *module.with_suffix("").parts)).removesuffix(".__init__")


def _known(name: str, names: dict[str, Path]) -> str:
    """The module that a dotted name is, or is in; empty where it is none of ours."""
    if name in names:
        return name
    above = name.rpartition(".")[0]
    return above if above in names else ""

"""What the documentation says is so: links, tables, generated pages, code."""

from __future__ import annotations

import ast
import os
import re
import tomllib
from pathlib import Path

import pytest

from headrace import __version__
from headrace.cli import COMMANDS
from headrace.settings import Settings, parse
from repo.tree import ROOT, SOURCE, files, modules
from warm import run_python

PAGES = [path for path in files() if path.suffix == ".md"]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
EXAMPLE_SECONDS_MAX = 60
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
HOP = re.compile(r"\[`([\w.]+)`\]\((\.\./src/[\w/.]+)\)")
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, kind: str) -> list[str]:
    """The fenced blocks of this kind, in order."""
    text = path.read_text(encoding="utf-8")
    return [body for info, body in BLOCK.findall(text) if info.split(" ")[0] == kind]


def linked(path: Path) -> list[Path]:
    """The files that a page links to."""
    prose = BLOCK.sub("", path.read_text(encoding="utf-8"))
    targets = ["".join(found).partition("#")[0] for found in LINK.findall(prose)]
    return [(path.parent / target).resolve() for target in targets if target and ":" not in target]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    assert [str(target) for target in linked(page) if not target.exists()] == []


def test_the_way_of_an_event_names_functions_where_they_are() -> None:
    page = ROOT / "docs" / "ARCHITECTURE.md"
    hops = HOP.findall(page.read_text(encoding="utf-8"))
    assert len(hops) > 30
    assert [hop for hop in hops if not is_defined(hop[0], page.parent / hop[1])] == []


def is_defined(name: str, path: Path) -> bool:
    """Whether a file defines this function, class or method."""
    nodes: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    for part in name.split("."):
        within = [inner for node in nodes for inner in getattr(node, "body", [])]
        nodes = [node for node in within if getattr(node, "name", "") == part]
    return bool(nodes)


def test_every_page_is_linked_from_readme_or_architecture() -> None:
    known = {*linked(ROOT / "README.md"), *linked(ROOT / "docs" / "ARCHITECTURE.md")}
    pages = [path for path in PAGES if path.parent == ROOT / "docs"]
    unlinked = [name_of(path) for path in pages if path not in known]
    assert unlinked == ["docs/ARCHITECTURE.md"] or unlinked == []
    assert ROOT / "docs" / "ARCHITECTURE.md" in linked(ROOT / "README.md")
    assert ROOT / "docs" / "adr" in known


def test_every_page_has_one_place_in_the_site() -> None:
    """`index.md` is README.md there."""
    placed = re.findall(r"([\w/.-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    folder = ROOT / "docs"
    pages = [str(path.relative_to(folder)) for path in PAGES if path.is_relative_to(folder)]
    assert sorted(placed) == sorted([*pages, "index.md"])


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_version_is_the_same_wherever_it_stands() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version = project["project"]["version"]
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    composed = (ROOT / "docker" / "compose.yml").read_text(encoding="utf-8")
    assert __version__ == version
    assert re.findall(r"^ARG VERSION=(\S+)$", dockerfile, re.MULTILINE) == [version]
    assert re.findall(r"image: headrace:(\S+)$", composed, re.MULTILINE) == [version]


def test_the_generated_pages_are_current() -> None:
    done = run_python(str(ROOT / "docs" / "generate.py"), "--check")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_complete_settings_file_holds_the_defaults() -> None:
    (example,) = blocks(ROOT / "docs" / "SETTINGS.md", "toml")
    assert parse(tomllib.loads(example)) == Settings()


def test_every_command_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"headrace {name}" not in text] == []


def test_architecture_lists_every_module_once() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([\w/]+\.py)` \|", text, re.MULTILINE)
    there = [str(module) for module in modules()]
    assert [name for name in there if name not in listed] == []
    assert [name for name in listed if name not in there] == []
    assert len(listed) == len(there)


def test_contributing_names_files_that_there_are() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+\.(?:py|md|toml))`", text))
    gone = [n for n in named if not any((at / n).exists() for at in (ROOT, ROOT / "docs", SOURCE))]
    assert len(named) > 15
    assert gone == []


# The blocks of LOGS.md work on files that stand beside them: test_logs_page.py runs them.
WITH_CODE = [page for page in PAGES if blocks(page, "python") and page.name != "LOGS.md"]


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_the_python_in_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    infos = [info for info, _ in BLOCK.findall(page.read_text(encoding="utf-8"))]
    assert [info for info in infos if info.startswith("python") and info != "python"] == []
    run(["-c", "\n".join(blocks(page, "python"))], tmp_path, seconds_max=120)


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_every_example_runs(example: Path, tmp_path: Path) -> None:
    told = run([str(example)], tmp_path, seconds_max=EXAMPLE_SECONDS_MAX)
    assert told.strip()


def run(words: list[str], folder: Path, *, seconds_max: float) -> str:
    """Run Python in an empty folder; what it printed. Warnings are errors, as in all tests."""
    environment = {**os.environ, "PYTHONWARNINGS": "error,ignore::DeprecationWarning"}
    done = run_python(*words, cwd=folder, env=environment, timeout=seconds_max)
    assert done.returncode == 0, done.stderr
    return done.stdout

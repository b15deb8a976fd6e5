"""Rules of the house that a count can hold: what a class keeps, and that every setting is tried."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from headrace.bridges import BRIDGES, bridge_class
from headrace.settings import Settings
from repo.tree import ROOT, SOURCE, modules

ATTRIBUTES_MAX = 15
CLASS_RULE = (
    f"A class has at most {ATTRIBUTES_MAX} attributes: what is more is a duty of its own, and goes "
    "into a class whose methods use it. Messages and settings are formats, and may have more."
)
SETTING_RULE = (
    "Every setting is set by a test, as a keyword, a key or a line of TOML: one that nobody sets "
    "may do nothing."
)

COUNTER_RULE = (
    "Every counter is read: by the report, or by a decision. One that nobody reads costs a field "
    "of the state, and tells nobody anything."
)
PRIVATE_RULE = (
    "What begins with _ is its owner's: a module asks an object of another module to do it, or the "
    "name is public."
)

KNOWN = {
    "commands/pilot/runs:RunOutcome": 20,  # a row of `headrace pilot --json`
    "flow/steps:Step": 18,  # a record of the journal
    "testing/simulation:Faults": 17,  # a format: rates, drawn one by one up to their limits
}
"""Classes that have more; none may grow, and one that no longer has more is taken out."""


def own_attributes(made: ast.ClassDef) -> set[str]:
    """What instances keep: fields, and what methods set on `self`; no constants of the class."""
    found = {
        node.target.id
        for node in made.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and "ClassVar" not in ast.unparse(node.annotation)
    }
    for node in ast.walk(made):
        is_set = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if is_set and ast.unparse(node.value) == "self":
            found.add(node.attr)
    return found


def is_format(module: Path, name: str) -> bool:
    return module.parts[0] in ("messages", "settings") or name.endswith("Settings")


def large_classes() -> dict[str, int]:
    found = {}
    for module in modules():
        for node in ast.walk(ast.parse((SOURCE / module).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not is_format(module, node.name):
                n = len(own_attributes(node))
                if n > ATTRIBUTES_MAX:
                    found[f"{module.with_suffix('')}:{node.name}"] = n
    return found


def test_no_class_has_more_attributes_than_a_reader_keeps_in_mind() -> None:
    found = large_classes()
    grown = {name: n for name, n in found.items() if n > KNOWN.get(name, ATTRIBUTES_MAX)}
    assert grown == {}, CLASS_RULE
    assert sorted(KNOWN.keys() - found.keys()) == [], f"take these out of KNOWN. {CLASS_RULE}"


def test_attributes_are_counted_as_they_are_set() -> None:
    made = ast.parse(
        "class A:\n"
        "    VERSION: ClassVar[int] = 1\n"
        "    a: int\n"
        "    def set(self):\n"
        "        self.b, self.c[0] = 1, 2\n"
        "        self.d += 1\n"
        "        other.e = 3\n"
    ).body[0]
    assert isinstance(made, ast.ClassDef)
    assert own_attributes(made) == {"a", "b", "d"}


def settings_in(section: Any) -> Iterator[str]:
    """The names of a section and of those inside it."""
    for field in msgspec.structs.fields(section):
        yield field.name
        for kind in (field.type, *get_args(field.type)):
            for inner in (kind, *get_args(kind)):
                if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                    yield from settings_in(inner)


def names_set(text: str) -> set[str]:
    """The names that get a value in a text."""
    return set(re.findall(r"(?<![\w.])(\w+)\b[\"']?\s*(?::|=(?!=))", text))


SET = names_set(
    "\n".join(
        path.read_text(encoding="utf-8")
        for path in sorted(ROOT.glob("tests*/**/*.py"))
        if path != Path(__file__)
    )
)
SECTIONS = [Settings, *(bridge_class(name, "BRIDGES").Settings for name in sorted(BRIDGES))]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_setting_is_set_by_a_test(section: Any) -> None:
    names = dict.fromkeys(settings_in(section))
    assert len(names) > 2
    assert [name for name in names if name not in SET] == [], SETTING_RULE


@pytest.mark.parametrize(
    ("text", "is_there"),
    [("f(cap=5)", 1), ('{"cap": 5}', 1), ("cap = 5", 1), ("cap == 5", 0), ("a.cap = 5", 0)],
)
def test_a_setting_is_set_where_it_gets_a_value(text: str, is_there: bool) -> None:
    assert ("cap" in names_set(text)) == is_there


def unread_counters(sources: Mapping[str, str]) -> list[str]:
    """The attributes that some line raises and no line reads, as "file: name"."""
    raised: dict[str, str] = {}
    read: set[str] = set()
    for name, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Attribute):
                raised.setdefault(node.target.attr, name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                read.add(node.attr)
    return sorted(f"{where}: {name}" for name, where in raised.items() if name not in read)


def test_every_counter_is_read() -> None:
    sources = {str(m): (SOURCE / m).read_text(encoding="utf-8") for m in modules()}
    assert unread_counters(sources) == [], COUNTER_RULE


def test_a_counter_is_unread_where_it_is_only_raised() -> None:
    raised = "class A:\n    def f(self):\n        self.seen_n += 1\n"
    assert unread_counters({"a.py": raised}) == ["a.py: seen_n"]
    assert unread_counters({"a.py": raised, "b.py": "x = a.seen_n\n"}) == []


NAME_RULE = (
    "A class name means one thing in the whole tree: a reader who searches for it finds one class. "
    "Name what it is of, as in `RoundRecord` beside `Record`."
)


def repeated_classes(sources: Mapping[str, str]) -> dict[str, list[str]]:
    """The names of classes that stand in several files, with these."""
    found: dict[str, list[str]] = {}
    for name, text in sources.items():
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(name)
    return {name: files for name, files in found.items() if len(files) > 1}


def test_a_class_name_means_one_thing() -> None:
    sources = {str(m): (SOURCE / m).read_text(encoding="utf-8") for m in modules()}
    assert repeated_classes(sources) == {}, NAME_RULE


def test_a_class_is_repeated_where_two_files_have_it() -> None:
    one, two = "class A:\n    pass\n", "class B:\n    class A:\n        pass\n"
    assert repeated_classes({"a.py": one, "b.py": two}) == {}
    assert repeated_classes({"a.py": one, "b.py": one}) == {"A": ["a.py", "b.py"]}


FOLDER_RULE = (
    "Three modules with one prefix in one folder are a folder: `tree_leaves`, `tree_routes` and "
    "`tree_scoring` belong into `tree/`."
)


def families(paths: Sequence[Path]) -> dict[str, int]:
    """How many modules share a prefix with others in their folder, from three on."""
    found: dict[str, int] = {}
    for path in paths:
        prefix, _, rest = path.stem.partition("_")
        if prefix and rest:
            name = f"{path.parent}/{prefix}"
            found[name] = found.get(name, 0) + 1
    return {name: n for name, n in found.items() if n >= 3}


def test_a_prefix_of_three_modules_is_a_folder() -> None:
    assert families(modules()) == {}, FOLDER_RULE


def test_modules_with_one_prefix_are_counted() -> None:
    names = ["a/x_one.py", "a/x_two.py", "b/x_three.py", "a/__init__.py", "a/y.py"]
    assert families([Path(name) for name in names]) == {}
    assert families([*map(Path, names), Path("a/x_four.py")]) == {"a/x": 3}


OF_LIBRARIES = {
    "drivers/kafka/topic_ids": {"_client"},  # aiokafka's consumer
    "learn/committee/members": {"_multiclass"},  # river's models
    "learn/learner": {"_multiclass"},
    "learn/own_labels": {"_multiclass"},
    "learn/scorers/inputs": {"_rename", "_latest"},  # river's transformers
    "learn/scorers/mondrian": {"_classes"},  # river's forest
}
"""Private names of other libraries that a module reads, where a class of ours has such a name."""


def private_names(tree: ast.AST) -> set[str]:
    """The private attributes and methods that the classes of a module have."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found |= own_attributes(node)
            found |= {
                one.name
                for one in node.body
                if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return {name for name in found if re.match("_[^_]", name)}


def reaches_inside(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """By module, the private names of classes of other modules that it reads or writes."""
    trees = {name: ast.parse(text) for name, text in sources.items()}
    owned = {name: private_names(tree) for name, tree in trees.items()}
    ours = set().union(*owned.values())
    found = {
        name: {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and node.attr in ours - owned[name]
            and ast.unparse(node.value) not in ("self", "cls", "super()")
        }
        for name, tree in trees.items()
    }
    return {name: names for name, names in found.items() if names}


def test_no_module_reaches_into_an_object_of_another() -> None:
    sources = {
        str(module.with_suffix("")): (SOURCE / module).read_text(encoding="utf-8")
        for module in modules()
    }
    assert reaches_inside(sources) == OF_LIBRARIES, PRIVATE_RULE


def test_what_reaches_inside_is_found() -> None:
    owner = "class A:\n    def __init__(self):\n        self._a = 1\n    def _b(self): ...\n"
    user = "def f(a):\n    a._a = a._b() + a._foreign + a.c\n"
    assert reaches_inside({"owner": owner, "user": user}) == {"user": {"_a", "_b"}}
    assert reaches_inside({"owner": owner + user}) == {}

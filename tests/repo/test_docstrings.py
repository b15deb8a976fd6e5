"""The docstring of a public thing names its parameters or fields, what it returns, what it raises.

Public are the names of `public_api.txt` and what the reference of the API shows besides, with the
methods and properties of the classes among them.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
import pytest

from headrace.settings import Settings
from headrace.settings.fields import Section
from repo.test_public_api import public_names, shown_things

RULE = (
    "A public docstring has Google's sections: Args or Attributes with every parameter or field, "
    "Returns or Yields with what comes back, Raises with every error that the body raises by name. "
    "A class or function that stands alone has an example (>>>)."
)
SECTION = re.compile(
    r"^(Args|Attributes|Returns|Yields|Raises):\n((?:(?: {4}.*)?(?:\n|\Z))+)", re.MULTILINE
)
ITEM = re.compile(r"^ {4}(\w+): \S", re.MULTILINE)
HOOKS = {"upgrade_state"}
"""Called by the reader of states alone; CONTRIBUTING.md says once for all what they take."""
CLIENTS = ("check_brokers", "make_admin", "make_consumer", "make_producer")
"""Functions that want a broker, or a running loop and an extra: the tests on Kafka use them."""


@functools.cache
def things() -> dict[str, Any]:
    """Public classes and functions, and the methods and properties of the classes, by place."""
    found: dict[str, Any] = {}
    listed = [name.partition(":") for name in public_names()]
    named = [getattr(importlib.import_module(module), name) for module, _, name in listed]
    for thing in (*named, *shown_things()):
        is_made = inspect.isclass(thing) and not issubclass(thing, enum.Enum)
        if not (is_made or inspect.isfunction(thing)):
            continue
        found[place_of(thing)] = thing
        for base in reversed(thing.__mro__) if inspect.isclass(thing) else ():
            if base.__module__.startswith("headrace."):
                found |= {f"{place_of(base)}.{part}": value for part, value in methods_of(base)}
    return found


def place_of(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def methods_of(kind: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class itself defines."""
    for name, value in vars(kind).items():
        plain = getattr(value, "__func__", value)
        is_method = inspect.isfunction(plain) or isinstance(plain, property)
        if is_method and not name.startswith("_") and name not in HOOKS:
            yield name, plain


def sections_of(thing: Any) -> dict[str, str]:
    """The sections of a docstring by their titles."""
    text = inspect.cleandoc(thing.__doc__ or "")
    return {found[1]: found[2] for found in SECTION.finditer(text)}


def named_in(thing: Any, *titles: str) -> set[str]:
    """The names of the items of these sections."""
    sections = sections_of(thing)
    return {name for title in titles for name in ITEM.findall(sections.get(title, ""))}


def names_of(thing: Any) -> list[str]:
    """The parameters of a function, or those with which an object of a class is made: its fields.

    A setting is described where it is declared, by `about`, from where docs/SETTINGS.md has it.
    """
    if not inspect.isclass(thing):
        return parameters_of(thing)
    if issubclass(thing, Section):
        hints = get_type_hints(thing, include_extras=True)
        return [name for name in thing.__struct_fields__ if not is_described(hints[name])]
    if issubclass(thing, msgspec.Struct):
        return list(thing.__struct_fields__)
    if dataclasses.is_dataclass(thing):
        return [field.name for field in dataclasses.fields(thing)]
    if hasattr(thing, "_fields"):
        return list(thing._fields)
    if getattr(thing, "_is_protocol", False):
        return [name for name in vars(thing).get("__annotations__", {}) if name[0] != "_"]
    return parameters_of(thing.__init__) if inspect.isfunction(thing.__init__) else []


def parameters_of(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in {"self", "cls"}]


def is_described(hint: Any) -> bool:
    """Whether the annotation of a setting has a description, or is a section of settings."""
    parts = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    return any(isinstance(part, msgspec.Meta) and part.description for part in parts) or (
        inspect.isclass(parts[0]) and issubclass(parts[0], Section)
    )


@functools.cache
def functions_in(path: str) -> dict[int, list[ast.stmt]]:
    """The bodies of the functions of a file, by the line where each begins with its decorators."""
    bodies = {}
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            bodies[min([node.lineno, *(one.lineno for one in node.decorator_list)])] = node.body
    return bodies


def raised_by(thing: Any) -> set[str]:
    """The errors that a function, or the making of an object, raises by name in its own body.

    `BrokenInvariant` is left out: it says that Headrace is wrong, wherever it is.
    """
    if isinstance(thing, property):
        starts = [thing.fget]
    elif inspect.isclass(thing):
        starts = [vars(thing).get(name) for name in ("__init__", "__post_init__")]
    else:
        starts = [thing]
    found: set[str] = set()
    for start in starts:
        # What dataclasses and protocols generate has no source here.
        if inspect.isfunction(start) and start.__module__ != "typing":
            code = inspect.unwrap(start).__code__
            if not code.co_filename.startswith("<"):
                found.update(*map(raised_in, functions_in(code.co_filename)[code.co_firstlineno]))
    return found - {"BrokenInvariant"}


def raised_in(node: ast.AST) -> set[str]:
    """The errors that a statement raises by name, without those that it catches itself."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return set()
    if isinstance(node, ast.Raise):
        error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return {error.id} if isinstance(error, ast.Name) and error.id[0].isupper() else set()
    if isinstance(node, ast.Try):
        caught = {ast.unparse(one.type) for one in node.handlers if one.type is not None}
        inside = set().union(*map(raised_in, node.body)) if "Exception" not in caught else set()
        return (inside - caught).union(
            *map(raised_in, [*node.handlers, *node.orelse, *node.finalbody])
        )
    return set().union(*map(raised_in, ast.iter_child_nodes(node)))


def lacks_of(thing: Any) -> list[str]:
    """What the docstring of one thing lacks."""
    text = inspect.cleandoc(thing.__doc__ or "")
    if not text:
        return ["everything"]
    lacks = [f"Raises: {name}" for name in sorted(raised_by(thing) - named_in(thing, "Raises"))]
    if isinstance(thing, property):
        return lacks
    titles = ("Args", "Attributes") if inspect.isclass(thing) else ("Args",)
    names = names_of(thing)
    lacks += [f"{titles[-1]}: {name}" for name in names if name not in named_in(thing, *titles)]
    if inspect.isclass(thing) or inspect.signature(thing).return_annotation in {"None", None}:
        return lacks
    # Google's guide: one line that begins with Return says it all, where nothing is passed.
    is_plain = not names and "\n" not in text and text.startswith("Return ")
    told = [sections_of(thing).get(title, "") for title in ("Returns", "Yields")]
    # The site takes what stands before a colon for the type.
    is_told = is_plain or (any(told) and not any(": " in text for text in told))
    return lacks if is_told else [*lacks, "Returns, without a colon"]


def is_met_alone(place: str) -> bool:
    """Whether a public thing is no part of a class, and no section of settings.

    The example of the sections is the file in docs/SETTINGS.md, which `test_docs` reads.
    """
    thing = things()[place]
    if inspect.isclass(thing):
        return not issubclass(thing, Section) or thing is Settings
    return inspect.isfunction(thing) and "." not in thing.__qualname__


WITHOUT_EXAMPLE = {f"headrace.drivers.kafka.client.{name}" for name in CLIENTS}


@pytest.mark.parametrize("place", sorted(filter(is_met_alone, things())))
def test_a_public_class_or_function_has_an_example(place: str) -> None:
    has_example = ">>> " in (things()[place].__doc__ or "")
    assert has_example != (place in WITHOUT_EXAMPLE), RULE


@pytest.mark.parametrize("place", sorted(things()))
def test_a_public_docstring_names_parameters_returns_and_errors(place: str) -> None:
    assert lacks_of(things()[place]) == [], RULE


def test_what_a_docstring_lacks_is_found() -> None:
    assert lacks_of(untold) == ["Raises: KeyError", "Args: b", "Returns, without a colon"]
    assert lacks_of(told) == []
    assert lacks_of(silent) == ["everything"]


def untold(a: int, b: int) -> int:
    """Add.

    Args:
        a: A number
            b: that is not b.
    """
    try:
        raise ValueError(a)
    except ValueError:
        raise KeyError(b) from None


def told(a: int, *more: int) -> int:
    """Add.

    Args:
        a: A number.
        more: More of them.

    Returns:
        The sum.

    Raises:
        KeyError: There is only one.
    """
    if not more:
        raise KeyError(a)
    return a + sum(more)


def silent() -> None:
    pass

"""Imports the user's own functions, which settings name as `module:attribute`."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable
from typing import Any

from .errors import BadSettings

SAID_MAX = 200
"""Another program's error is quoted up to this length; characters."""


def import_function(setting: str, path: str) -> Callable[..., Any]:
    """Import and return the function at `module:attribute`.

    `setting` is the path of the setting that names it. Raises `BadSettings`, which says what is
    wrong and, if it is a name, the nearest existing one.

    >>> import_function("input.decoder", "math:sqrt")(9)
    3.0
    """
    module_name, _, name = path.partition(":")
    fault = f"{setting} is {path!r}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not error.name or not f"{module_name}.".startswith(f"{error.name}."):
            raise BadSettings(f"{fault}; it needs {error.name}, which is not here") from error
        hint = suggest_nearest(error.name.rpartition(".")[2], _modules_beside(error.name))
        raise BadSettings(
            f"{fault}; there is no module {error.name}{hint}. Its folder must be on PYTHONPATH"
        ) from error
    except Exception as error:
        # A foreign module may raise anything at import.
        text = f"{type(error).__name__}: {error}"[:SAID_MAX]
        raise BadSettings(f"{fault}; its module can't be imported: {text}") from error
    function = getattr(module, name, None)
    if not callable(function):
        known = [attribute for attribute, value in vars(module).items() if callable(value)]
        raise BadSettings(
            f"{fault}; {module_name} has no such function{suggest_nearest(name, known)}"
        )
    return function  # type: ignore[no-any-return]  # callable, as was just seen


def _modules_beside(name: str) -> Iterable[str]:
    package = name.rpartition(".")[0]
    spec = importlib.util.find_spec(package) if package else None
    places = spec.submodule_search_locations if spec is not None else None
    return [module.name for module in pkgutil.iter_modules(places if package else None)]


def suggest_nearest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" with the nearest known name, or "" if none is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""

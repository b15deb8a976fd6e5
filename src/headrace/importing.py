"""Finding what a setting names by `module:attribute`: a function of the user's."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable
from typing import Any

from .errors import BadSettings

SAID_MAX = 200
"""So much of another program's error is told; characters."""


def imported(setting: str, path: str) -> Callable[..., Any]:
    """The function at `module:attribute`.

    `setting` is the path of the setting that names it. Raises `BadSettings` with what is wrong and
    the nearest name there is.

    >>> imported("input.decoder", "math:sqrt")(9)
    3.0
    """
    module_name, _, name = path.partition(":")
    said = f"{setting} is {path!r}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not error.name or not f"{module_name}.".startswith(f"{error.name}."):
            raise BadSettings(f"{said}; it needs {error.name}, which is not here") from error
        hint = nearest(error.name.rpartition(".")[2], _modules_beside(error.name))
        raise BadSettings(
            f"{said}; there is no module {error.name}{hint}. Its folder must be on PYTHONPATH"
        ) from error
    except Exception as error:
        # A module of somebody else's may fail in any way.
        text = f"{type(error).__name__}: {error}"[:SAID_MAX]
        raise BadSettings(f"{said}; its module can't be imported: {text}") from error
    found = getattr(module, name, None)
    if not callable(found):
        known = [one for one, value in vars(module).items() if callable(value)]
        raise BadSettings(f"{said}; {module_name} has no such function{nearest(name, known)}")
    return found  # type: ignore[no-any-return]  # callable, as was just seen


def _modules_beside(name: str) -> Iterable[str]:
    package = name.rpartition(".")[0]
    spec = importlib.util.find_spec(package) if package else None
    places = spec.submodule_search_locations if spec is not None else None
    return [module.name for module in pkgutil.iter_modules(places if package else None)]


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a fault that says which of the known names was meant, if one is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""

"""Pickles foreign objects, such as river models: the one part of a state that is not data.

River (0.26) has no format but pickle, and a pickle is a program. It is read after the signature
of the file has been verified, by Python's own reader, which is restricted to these names: classes
and functions of river, in the module that defines them; the few names of Python and numpy in
`_PLAIN`; and names defined in the packages of the model that the user passed in this process. The
restriction prevents accidents, not forgery: **who holds the key can run code** (docs/SNAPSHOTS.md).
"""

from __future__ import annotations

import io
import pickle
import sys
import types
from collections.abc import Callable
from typing import Any, TypeAlias

from ..errors import BadSettings

_PLAIN = {
    "builtins": "bool bytearray bytes complex dict float frozenset int iter list object range set "
    "slice str tuple",
    "collections": "Counter OrderedDict defaultdict deque",
    "copy": "deepcopy",
    "copyreg": "_reconstructor",
    "datetime": "date datetime time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "functools": "partial",
    "msgspec._utils": "rebuild",
    "numbers": "Complex Integral Number Rational Real",
    "numpy": "array dtype ndarray ones",
    "numpy._core.multiarray": "_reconstruct scalar",
    "numpy._core.numeric": "_frombuffer",
    "numpy.random._generator": "Generator",
    "numpy.random._mt19937": "MT19937",
    "numpy.random._pcg64": "PCG64",
    "numpy.random._pickle": "__bit_generator_ctor __generator_ctor __randomstate_ctor",
    "numpy.random.bit_generator": "SeedSequence __pyx_unpickle_SeedSequence",
    "operator": "itemgetter",
    "random": "Random",
}
_NAMES = frozenset(f"{module}:{name}" for module, names in _PLAIN.items() for name in names.split())
_METHODS = (("builtins", "str", "lower"), ("random", "Random", "gauss"))
_KINDS = (type, types.FunctionType, types.BuiltinFunctionType)
_OF_CYTHON = "cython_function_or_method"
"""The name of the type of Cython's functions; each library has its own type of this name."""

# Modules that read files and addresses, or start a process.
_NOT_IN_MODELS = ("river.datasets", "river.stream")
_NOT_IN_STATES = (
    *("adapters", "bridges", "cli", "commands", "drivers", "pages", "shells", "testing"),
    "__main__",
)


GiveWay: TypeAlias = Callable[[], None]


def pickle_object(foreign: object, give_way: GiveWay | None = None) -> bytes:
    """Return the pickle of an object. Raises `BadSettings` if it holds a lambda or an open file.

    `give_way` is called after each piece of about 64 kB: only there can another thread go on.
    """
    try:
        if give_way is None:
            return pickle.dumps(foreign, protocol=5)
        pieces = _Pieces(b"", give_way)
        pickle.Pickler(pieces, protocol=5).dump(foreign)
        return pieces.content
    except (pickle.PicklingError, AttributeError, TypeError, RecursionError) as error:
        raise BadSettings(
            f"the state can't be pickled: {error}; use classes and functions defined at the top "
            "level of a module, and no open files, locks or lambdas"
        ) from error


def unpickle_object(
    body: bytes, allowed: frozenset[str] = frozenset(), give_way: GiveWay | None = None
) -> Any:
    """Return the object in a pickle; `allowed` comes from `allowed_by`. May raise any exception.

    `give_way` is as in `pickle_object`.
    """
    return _ModelUnpickler(body, allowed, give_way).load()


def allowed_by(model: object) -> frozenset[str]:
    """Return the user's own packages whose classes and functions a state of `model` may name.

    They are taken from the pickle of the object that the user passed in this process, never from a
    file. Whole packages, the first parts of module names, are allowed because a model makes some of
    its parts (a tree its leaves) only while it learns.

    Raises `BadSettings` if a snapshot of `model` could be written but not read.

    >>> from river import tree
    >>> allowed_by(tree.HoeffdingTreeClassifier())
    frozenset()
    """
    reader = _Recorder(pickle_object(model), frozenset())
    try:
        reader.load()
    except pickle.UnpicklingError as error:
        raise BadSettings(
            f"the model can't be restored from a snapshot: {error}; use a function or a class of "
            "a module of your own"
        ) from error
    except Exception as error:
        raise BadSettings(f"the model can't be restored from a snapshot: {error}") from error
    return frozenset(reader.found)


class _Pieces:
    """A file in memory for C's pickler, which passes it a piece at a time."""

    def __init__(self, content: bytes, give_way: GiveWay) -> None:
        self._file = io.BytesIO(content)
        self._give_way = give_way

    @property
    def content(self) -> bytes:
        return self._file.getvalue()

    def write(self, piece: Any) -> int:
        self._give_way()
        return self._file.write(piece)

    def read(self, size: int = -1) -> bytes:
        self._give_way()
        return self._file.read(size)

    def readline(self) -> bytes:
        return self._file.readline()


class _ModelUnpickler(pickle.Unpickler):
    def __init__(
        self, body: bytes, allowed: frozenset[str], give_way: GiveWay | None = None
    ) -> None:
        super().__init__(io.BytesIO(body) if give_way is None else _Pieces(body, give_way))
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}:{name}" in _NAMES:
            return super().find_class(module, name)
        if (module, name) == ("builtins", "getattr"):
            return self._bind_method
        self._check_module(module)
        named = super().find_class(module, name)
        if (
            not (isinstance(named, _KINDS) or type(named).__name__ == _OF_CYTHON)
            or getattr(named, "__module__", None) != module
            or named.__qualname__ != name
        ):
            raise pickle.UnpicklingError(f"{module}:{name} is no class or function defined there")
        return named

    def _check_module(self, module: str) -> None:
        package, _, rest = module.partition(".")
        is_ours = package == "headrace" and rest.partition(".")[0] not in _NOT_IN_STATES
        is_rivers = package == "river" and not module.startswith(_NOT_IN_MODELS)
        if not (is_ours or is_rivers or self._is_users(package)):
            raise pickle.UnpicklingError(f"the module {module} is not admitted in a state")

    def _is_users(self, package: str) -> bool:
        return package in self._allowed

    def _bind_method(self, owner: Any, name: str) -> Any:
        """Return a bound method: a restricted `getattr`, by which pickle names such methods."""
        kind = owner if isinstance(owner, type) else type(owner)
        if (kind.__module__, kind.__qualname__, name) not in _METHODS:
            self._check_module(kind.__module__)
        method = getattr(kind, name)
        if name.startswith("__") or not callable(method):
            raise pickle.UnpicklingError(f"{kind.__qualname__}.{name} is no method of a model")
        return method if isinstance(owner, type) else method.__get__(owner, kind)


class _Recorder(_ModelUnpickler):
    """Reads a pickle that this process has just written, and notes the user's packages in it."""

    def __init__(self, body: bytes, allowed: frozenset[str]) -> None:
        super().__init__(body, allowed)
        self.found: set[str] = set()

    def _is_users(self, package: str) -> bool:
        if package in sys.stdlib_module_names - {"__main__"} or package in ("numpy", "river"):
            return False
        self.found.add(package)
        return True

"""State objects to bytes and back, by a reader that admits only what `admitted` lists.

This module is not a defence against whoever may sign snapshots: the signature is checked first, in
`adapters.snapshots`, and this is the second line. It writes no file and holds no key.

The body is a pickle, because river (0.26) has no other format. A pickle is a program, so it is run
by a reader of our own, stricter than an `Unpickler` with a `find_class`:

- a global is admitted by its exact `module:qualname`, never by a prefix: under an admitted prefix
  the protocol-4 name `os.system` of a river module that imports `os` is a shell;
- being admitted is not being callable: only `CALLED` may be called, with so many arguments at
  most. Classes of river and of ours are made empty (`__new__`) and filled; no `__init__` runs;
- `getattr`, `numpy.dtype` and msgspec's `rebuild` (which calls anything) have stand-ins that do
  the one thing a snapshot needs;
- filling (`BUILD`) goes by the class of an object, never by its attributes, and never touches a
  class or a function, which would change the whole program.

`functools.partial` is admitted. It only pairs a callable with arguments, every callable in a state
is on the list, and a partial is not in `CALLED`: nothing is called through it while reading. What
it holds runs later, when the model uses it, and that is again something listed.

What is left: a forged state may misbehave as a model, or ask for much memory.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import io
import pickle
import pickletools
import platform
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from importlib.metadata import version
from typing import Any, cast

import msgspec
import numpy as np

from .admitted import CALLED, CLASSES, METHODS, NAMED
from .errors import BadInput, BadSettings

FORMAT = 1
_MAGIC = b"HRSTATE\n"
_LENGTH_BYTES = 4
_ANY_NUMBER = 255


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What stands before the body, as JSON: readable without reading a pickle."""

    format: int
    kind: str
    headrace: str
    python: str
    river: str
    numpy: str
    sha256: str
    length: int


def freeze(state: object, *, kind: str) -> bytes:
    """The state as bytes that say what they are: magic, length of the header, header, pickle.

    Raises `BadSettings` for what cannot be pickled, such as a model that holds a lambda.

    >>> thaw(freeze({"seen_n": 3}, kind="engine"), kind="engine")
    {'seen_n': 3}
    """
    body = _pickled(state)
    header = msgspec.json.encode(
        Header(
            format=FORMAT,
            kind=kind,
            **_versions(),
            sha256=hashlib.sha256(body).hexdigest(),
            length=len(body),
        )
    )
    return _MAGIC + len(header).to_bytes(_LENGTH_BYTES, "big") + header + body


def thaw(blob: bytes, *, kind: str, allowed: frozenset[str] = frozenset()) -> Any:
    """The state of a blob that `freeze` made; `allowed` comes from `allowed_by`.

    Raises `BadInput` if the blob is damaged, of another kind, written by another minor version of
    headrace, river or numpy, or holds anything that is not admitted.

    >>> thaw(freeze(1, kind="model"), kind="engine")
    Traceback (most recent call last):
    headrace.errors.BadInput: this state is of kind 'model'; 'engine' is wanted
    """
    body = _body(blob, kind)
    try:
        return _Reader(body, allowed).load()
    except Exception as error:  # A forged pickle may fail in any way.
        raise BadInput(f"the state can't be read: {error or type(error).__name__}") from error


def allowed_by(model: object) -> frozenset[str]:
    """The `module:qualname` of the classes of the user's own that a state of `model` may hold.

    Found in the pickle of the object that the user passed in this process, never in a file. The
    rule: a class, defined at its module's top level or in a class, in a module that is not of
    Python's library. With it come the classes that its module defines or takes from the same
    package, because a model makes its parts (a tree its leaves) only while it learns. They are
    made empty and filled, not called. A function is admitted where the model itself names it, as a
    step that adds a feature does, and is not called while reading. Whoever can sign a state may
    put it elsewhere, as the factory of a `defaultdict`: it then runs later, without arguments.

    Raises `BadSettings` if a snapshot of `model` could be written but not read.

    >>> from river import tree
    >>> allowed_by(tree.HoeffdingTreeClassifier())
    frozenset()
    """
    body = _pickled(model)
    faults: list[str] = []
    pairs: set[str] = set()
    for pair in _pairs(body):
        if _is_listed(pair):
            continue
        try:
            found = _users_own(pair)
        except pickle.UnpicklingError as error:
            faults.append(f"the model can't be restored from a snapshot: {error}")
        else:
            pairs.add(pair)
            pairs.update(_relatives(found) if isinstance(found, type) else ())
    if faults:
        raise BadSettings(faults)
    try:
        _Reader(body, frozenset(pairs)).load()
    except Exception as error:
        raise BadSettings(f"the model can't be restored from a snapshot: {error}") from error
    return frozenset(pairs)


# ----------------------------------------------------------------------------- the envelope


@functools.cache
def _versions() -> dict[str, str]:
    return {
        "headrace": version("headrace"),
        "python": platform.python_version(),
        "river": version("river"),
        "numpy": version("numpy"),
    }


def _body(blob: bytes, kind: str) -> bytes:
    start = len(_MAGIC) + _LENGTH_BYTES
    if blob[: len(_MAGIC)] != _MAGIC:
        raise BadInput("this is not a state of Headrace")
    end = start + int.from_bytes(blob[len(_MAGIC) : start], "big")
    try:
        header = msgspec.json.decode(blob[start:end], type=Header)
    except msgspec.DecodeError as error:
        raise BadInput(f"the header of the state can't be read: {error}") from error
    if header.format != FORMAT:
        raise BadInput(f"this state has format {header.format}; {_rebuild_advice()}")
    if header.kind != kind:
        raise BadInput(f"this state is of kind {header.kind!r}; {kind!r} is wanted")
    body = blob[end:]
    if len(body) != header.length or hashlib.sha256(body).hexdigest() != header.sha256:
        raise BadInput("the state is damaged: its body is not the one its header describes")
    # Python is only noted: protocol 5 crosses its versions, the layouts of libraries do not.
    for library in ("headrace", "river", "numpy"):
        then, now = getattr(header, library), _versions()[library]
        if then.split(".")[:2] != now.split(".")[:2]:
            raise BadInput(
                f"this state was frozen with {library} {then} and {now} is installed; "
                + _rebuild_advice()
            )
    return blob[end:]


def _rebuild_advice() -> str:
    return (
        "it must be rebuilt from the log: move the snapshot away and start again "
        "(docs/SNAPSHOTS.md, 'Without a snapshot')"
    )


def _pickled(state: object) -> bytes:
    try:
        return pickle.dumps(state, protocol=5)
    except (pickle.PicklingError, AttributeError, TypeError, RecursionError) as error:
        raise BadSettings(
            f"the state can't be pickled: {error}; use classes and functions defined at the top "
            "level of a module, and no open files, locks or lambdas"
        ) from error


def _pairs(body: bytes) -> list[str]:
    """The globals of a pickle that we made, found without running it; sorted."""
    found: set[str] = set()
    texts: list[Any] = []
    memo: dict[int, Any] = {}
    for opcode, argument, _ in pickletools.genops(body):
        if opcode.name == "STACK_GLOBAL":
            found.add(f"{texts[-2]}:{texts[-1]}")
        elif opcode.name == "MEMOIZE":
            memo[len(memo)] = texts[-1] if texts else None
        elif opcode.name in ("BINGET", "LONG_BINGET"):
            texts.append(memo[int(argument or 0)])
        elif opcode.name != "FRAME":
            texts.append(argument)
    return sorted(found)


# ------------------------------------------------------------------------------- the reader


class _Reader(pickle._Unpickler):
    """Python's own reader with its dangerous steps replaced; about ten times slower than C's."""

    def __init__(self, body: bytes, allowed: frozenset[str]) -> None:
        super().__init__(io.BytesIO(body))
        self._allowed = allowed
        # By id, since not all are hashable: the object, the most arguments, and whether it may
        # be made with `__new__`. Holding the object keeps its id from being used again.
        self._admitted: dict[int, tuple[Any, int | None, bool]] = {}

    def find_class(self, module: str, name: str) -> Any:
        pair = f"{module}:{name}"
        arguments_max, is_made = CALLED.get(pair), False
        if arguments_max is not None:
            found = _STAND_INS.get(pair) or _resolve(pair)
        elif pair in NAMED:
            found = _resolve(pair)
        else:
            found = _resolve(pair) if pair in CLASSES else self._users(pair)
            is_made = isinstance(found, type)
            if is_made and issubclass(found, msgspec.Struct | Enum):
                arguments_max = _ANY_NUMBER
        self._admitted[id(found)] = (found, arguments_max, is_made)
        return found

    def _users(self, pair: str) -> Any:
        if pair not in self._allowed:
            raise pickle.UnpicklingError(f"{pair} is not admitted in a state")
        return _users_own(pair)

    def _reduce(self) -> None:
        arguments = self._stack.pop()
        called = self._stack[-1]
        _, arguments_max, _ = self._admitted.get(id(called), (None, None, False))
        if arguments_max is None or len(arguments) > arguments_max:
            raise pickle.UnpicklingError(f"a state may not call {_named(called)}")
        self._stack[-1] = called(*arguments)

    def _new(self) -> None:
        arguments = self._stack.pop()
        self._make(self._stack.pop(), arguments, {})

    def _new_with_names(self) -> None:
        named = self._stack.pop()
        arguments = self._stack.pop()
        self._make(self._stack.pop(), arguments, named)

    def _make(self, cls: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        _, _, is_made = self._admitted.get(id(cls), (None, None, False))
        if not is_made:
            raise pickle.UnpicklingError(f"a state may not make {_named(cls)}")
        self._stack.append(cls.__new__(cls, *arguments, **named))

    def _build(self) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if id(target) in self._admitted or isinstance(target, type | types.MethodType):
            raise pickle.UnpicklingError(f"a state may not change {_named(target)}")
        if isinstance(target, np.dtype):
            _check_dtype(target, state)
        # Looked up in the class: an attribute of this name would be called with the state.
        set_state = getattr(type(target), "__setstate__", None)
        if set_state is not None:
            set_state(target, state)
            return
        attributes, slots = state if isinstance(state, tuple) else (state, None)
        if attributes:
            target.__dict__.update({sys.intern(name): value for name, value in attributes.items()})
        for name, value in (slots or {}).items():
            object.__setattr__(target, name, value)

    def _append(self) -> None:
        value = self._stack.pop()
        self._extend_last([value])

    def _appends(self) -> None:
        self._extend_last(cast(Any, self).pop_mark())

    def _extend_last(self, values: list[Any]) -> None:
        last = self._last_of(list, deque)
        type(last).extend(last, values)

    def _add(self) -> None:
        values = cast(Any, self).pop_mark()
        set.update(self._last_of(set), values)

    def _set(self) -> None:
        value = self._stack.pop()
        key = self._stack.pop()
        self._last_of(dict)[key] = value

    def _sets(self) -> None:
        values = cast(Any, self).pop_mark()
        last = self._last_of(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            last[key] = value

    def _last_of(self, *kinds: type) -> Any:
        last = self._stack[-1]
        if not isinstance(last, kinds):
            raise pickle.UnpicklingError(f"a state may not fill {_named(last)}")
        return last

    @property
    def _stack(self) -> list[Any]:
        return cast(list[Any], cast(Any, self).stack)


_DROPPED_STEPS = frozenset(
    pickle.INST
    + pickle.OBJ
    + pickle.EXT1
    + pickle.EXT2
    + pickle.EXT4
    + pickle.PERSID
    + pickle.BINPERSID
    + pickle.NEXT_BUFFER
    + pickle.READONLY_BUFFER
)
_OWN_STEPS: dict[bytes, Callable[[_Reader], None]] = {
    pickle.REDUCE: _Reader._reduce,
    pickle.NEWOBJ: _Reader._new,
    pickle.NEWOBJ_EX: _Reader._new_with_names,
    pickle.BUILD: _Reader._build,
    pickle.APPEND: _Reader._append,
    pickle.APPENDS: _Reader._appends,
    pickle.ADDITEMS: _Reader._add,
    pickle.SETITEM: _Reader._set,
    pickle.SETITEMS: _Reader._sets,
}
# Protocols 0 and 1, extension registries and objects from outside have no place in a state.
_Reader.dispatch = cast(
    Any,
    {step: run for step, run in pickle._Unpickler.dispatch.items() if step not in _DROPPED_STEPS}
    | {step[0]: run for step, run in _OWN_STEPS.items()},
)


def _named(thing: object) -> str:
    if isinstance(thing, type):
        return _pair_of(thing)
    name = getattr(thing, "__qualname__", None)
    return str(name) if name else f"an object of {_pair_of(type(thing))}"


# ----------------------------------------------------------------------------- the admitted


def _resolve(pair: str) -> Any:
    module, _, name = pair.partition(":")
    return functools.reduce(getattr, name.split("."), importlib.import_module(module))


def _pair_of(cls: Any) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _is_listed(pair: str) -> bool:
    return pair in CALLED or pair in NAMED or pair in CLASSES


def _users_own(pair: str) -> Any:
    """The class or function of that name; raises if it is neither, an alias, or of a library."""
    top = pair.partition(":")[0].partition(".")[0]
    if top in sys.stdlib_module_names or top in ("numpy", "msgspec"):
        raise pickle.UnpicklingError(
            f"{pair} belongs to a library and is not on the list; in its place use a function or "
            "a class of a module of your own"
        )
    found = _resolve(pair)
    is_function = isinstance(found, types.FunctionType) and top not in ("river", "headrace")
    if not (isinstance(found, type) or is_function) or _pair_of(found) != pair:
        raise pickle.UnpicklingError(f"{pair} is no class or function of that name at its top")
    return found


def _relatives(cls: type) -> Iterator[str]:
    top = cls.__module__.partition(".")[0]
    for found in vars(sys.modules[cls.__module__]).values():
        if isinstance(found, type) and found.__module__.partition(".")[0] == top:
            yield _pair_of(found)


def _method(owner: Any, name: str) -> Any:
    """Stands in for `getattr`, by which pickle names a bound method."""
    kind = owner if isinstance(owner, type) else type(owner)
    if name not in METHODS.get(_pair_of(kind), ()):
        raise pickle.UnpicklingError(f"{_pair_of(kind)}.{name} is not admitted in a state")
    found = getattr(kind, name)
    return found if isinstance(owner, type) else found.__get__(owner, kind)


def _rebuild(cls: Any, fields: dict[str, Any]) -> msgspec.Struct:
    """Stands in for msgspec's own, which calls whatever it is given."""
    if not (isinstance(cls, type) and issubclass(cls, msgspec.Struct)):
        raise pickle.UnpicklingError(f"{_named(cls)} is not a msgspec struct")
    return cls(**fields)


def _dtype(text: str, _align: bool, _copy: bool) -> np.dtype[Any]:
    """Stands in for `numpy.dtype`, which would hand out the one float64 of the whole program."""
    if type(text) is not str or not text[:1].isalpha() or not text[1:].isdecimal():
        raise pickle.UnpicklingError("a state may only hold arrays of plain dtypes")
    # A copy, because the next step sets the byte order in place.
    return np.dtype(text, align=False, copy=True)


def _check_dtype(dtype: np.dtype[Any], state: Any) -> None:
    # A dtype of objects that says it holds none would turn raw bytes into pointers.
    expected = cast(Any, dtype.__reduce__())[2]
    if not isinstance(state, tuple) or state[2:8] != expected[2:8]:
        raise pickle.UnpicklingError("a state may only hold arrays of plain dtypes")


_STAND_INS: dict[str, Any] = {
    "builtins:getattr": _method,
    "msgspec._utils:rebuild": _rebuild,
    "numpy:dtype": _dtype,
}

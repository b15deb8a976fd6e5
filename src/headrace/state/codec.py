"""Encodes state objects as plain data for msgpack and a list of foreign objects, and decodes them.

An object of Headrace is written as the number of its *shape* (class, version, names of fields) and
its values. Reading it back calls only `__new__`, its own `__setstate__` if it has one, and the
constructor of a struct. Arrays are written as a dtype, a shape and bytes. An object that is
referenced twice is one object, referenced twice, after reading. Everything else, such as a river
model, is *foreign*: the data holds its place in a list, and the caller that writes the data has to
write that list too (see `state.model_pickle`).

Two attributes of a class describe how its state changes over the versions of Headrace:

- `STATE_VERSION: ClassVar[int]`, 1 if it is not there, goes up by one when the fields change;
- `upgrade_state(fields, version)`, a static method, returns the present fields for older ones.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import importlib
import itertools
import math
import operator
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ..errors import BadInput
from .names import name_of, present_name

# The first number of a node is its kind. The numbers are part of the format: never reuse one.
_REFERENCE, _LIST, _PLAIN_LIST, _TUPLE, _PLAIN_TUPLE, _DICT, _PLAIN_DICT = range(7)
_SET, _FROZENSET, _DEQUE, _ARRAY, _OBJECT_ARRAY, _SCALAR, _BIG, _TEXT = range(7, 15)
_OBJECT, _ENUM, _FOREIGN = range(15, 18)

# Types that msgpack can hold as they are: integers of 64 bits, texts that are UTF-8, and others.
_ATOMS = frozenset((type(None), bool, int, float, str, bytes))
_FORTRAN, _READ_ONLY = 1, 2
_DTYPE = re.compile(r"[<>|](?:b1|[iu][1248]|f(?:[248]|16)|c(?:8|16|32)|[SU][1-9]\d*|[mM]8\[\w+\])")
_BASES = ("abc", "headrace", "msgspec", "typing")


def encode_state(state: object) -> tuple[bytes, list[Any]]:
    """Return the state as msgpack, and its foreign objects, in the order in which they first occur.

    >>> data, foreign = encode_state({"seen": deque([1, 2], maxlen=2), "row": np.ones(2)})
    >>> decode_state(data, foreign)
    {'seen': deque([1, 2], maxlen=2), 'row': array([1., 1.])}
    """
    try:
        return _write_state(state, _ATOMS)
    except (UnicodeEncodeError, OverflowError):
        # Texts and numbers that msgpack can't hold are rare, so checked for only now.
        return _write_state(state, _ATOMS - {int, str})


def decode_state(data: bytes, foreign: list[Any]) -> Any:
    """Return the encoded state. Raises `BadInput`; damaged data may raise any other exception."""
    kind = tuple[list[tuple[str, int, list[str]]], Any]
    with without_collection():
        shapes, root = msgspec.msgpack.decode(data, type=kind)
        return _Reader([_Shape.find_shape(*shape) for shape in shapes], foreign).read_value(root)


def _write_state(state: object, plain: frozenset[type]) -> tuple[bytes, list[Any]]:
    writer = _Writer(plain)
    with without_collection():
        root = writer.write_node(state)
        return msgspec.msgpack.encode([writer.shapes, root]), writer.foreign


@contextmanager
def without_collection() -> Iterator[None]:
    """Switch off garbage collection: many objects are made in here, and none is garbage yet."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


# ------------------------------------------------------------------------------------ classes


@functools.cache
def is_ours(cls: Any) -> bool:
    """Whether Headrace alone defines the fields of this class: bases of `river.base` have none."""
    return (
        cls.__module__.startswith("headrace.")
        and not issubclass(cls, BaseException)
        and all(
            base in (object, tuple)
            or base.__module__.partition(".")[0] in _BASES
            or base.__module__.startswith("river.base.")
            for base in cls.__mro__
        )
    )


@functools.cache
def _class_named(name: str) -> Any:
    module, _, path = present_name(name).partition(":")
    if re.fullmatch(r"(?!__)\w+(\.(?!__)\w+)*", module) is None:
        raise BadInput(f"{name!r} is no class of Headrace")
    try:
        cls: Any = importlib.import_module(f"headrace.{module}")
        for part in path.split("."):
            cls = getattr(cls, part)
    except (ImportError, AttributeError) as error:
        raise BadInput(f"this version of Headrace has no class {name}") from error
    is_there = isinstance(cls, type) and name_of(cls) == f"{module}:{path}"
    if not is_there or not (is_ours(cls) or _is_enum(cls)):
        raise BadInput(f"{name!r} is no class of Headrace")
    return cls


def _is_enum(cls: type) -> bool:
    return issubclass(cls, Enum) and cls.__module__.startswith("headrace.")


@functools.cache
def _find_declared_fields(cls: Any) -> frozenset[str] | None:
    """Return the fields that an object must have; None for a class that does not declare them."""
    if dataclasses.is_dataclass(cls):
        return frozenset(field.name for field in dataclasses.fields(cls))
    if getattr(cls, "__dictoffset__", 0) or "__setstate__" in vars(cls):
        return None
    slots = (vars(base).get("__slots__", ()) for base in cls.__mro__)
    return frozenset(name for names in slots for name in names)


class _Shape(NamedTuple):
    """The class, the state version and the field names with which objects were written."""

    cls: Any
    version: int
    fields: list[str]

    @classmethod
    def find_shape(cls, name: str, version: int, fields: list[str]) -> _Shape:
        kind = _class_named(name)
        now = version_of(kind)
        if version > now:
            raise BadInput(f"{name} is of version {version}, this Headrace knows up to {now}")
        if version < now and not hasattr(kind, "upgrade_state"):
            raise BadInput(f"{name} of version {version} can't be brought to version {now}")
        return cls(kind, version, fields)

    def upgrade_values(self, values: list[Any]) -> dict[str, Any]:
        fields = dict(zip(self.fields, values, strict=True))
        if self.version < version_of(self.cls):
            fields = self.cls.upgrade_state(fields, self.version)
        return fields


def version_of(cls: Any) -> int:
    """Return the version of the state of a class."""
    return int(getattr(cls, "STATE_VERSION", 1))


@functools.cache
def _find_float_defaults(cls: Any) -> dict[str, float]:
    """Return the float defaults, which msgspec leaves out of a message if a field is that object.

    A state leaves them out too, so that a state that is read and written again has the same bytes.
    """
    names, defaults = cls.__struct_fields__, cls.__struct_defaults__
    pairs = zip(names[len(names) - len(defaults) :], defaults, strict=True)
    omits = cls.__struct_config__.omit_defaults
    return {name: value for name, value in pairs if omits and isinstance(value, float)}


@functools.cache
def _values_of(kind: Any) -> Callable[[Any], Iterable[Any]]:
    names = kind.__struct_fields__
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda value: [getattr(value, name) for name in names]


@functools.cache
def _names_of_fields(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls))


def _fields_of(value: Any) -> dict[str, Any]:
    kind: Any = type(value)
    if isinstance(value, tuple):
        named: Any = value
        return dict(named._asdict())
    state = value.__getstate__()
    if isinstance(state, dict | None):
        state = state or {}
        if not dataclasses.is_dataclass(value) or "__getstate__" in vars(kind):
            return state
        # A field that still has its default may be an attribute of the class alone.
        return {name: getattr(value, name) for name in _names_of_fields(kind)} | state
    if isinstance(state, list):  # a frozen dataclass with slots
        return dict(zip(_names_of_fields(kind), state, strict=True))
    return {name: part for parts in state or () for name, part in (parts or {}).items()}


# ------------------------------------------------------------------------------------ writing


class _Writer:
    """Makes a tree of nodes; numbers objects with an identity as they first occur, as `_Reader`."""

    def __init__(self, plain: frozenset[type]) -> None:
        self.shapes: list[tuple[str, int, tuple[str, ...]]] = []
        self.foreign: list[Any] = []
        self._plain = plain
        self._numbers: dict[int, int] = {}
        # `__getstate__` may return temporary objects: kept, so that no other gets the same id.
        self._kept: list[Any] = []
        self._shape_numbers: dict[tuple[type, tuple[str, ...]], int] = {}

    def write_node(self, value: Any) -> Any:
        kind: Any = type(value)
        if kind in self._plain:
            return value
        write = _WRITES.get(kind) or _choose_writer(kind)
        if kind in _WITHOUT_IDENTITY:
            return write(self, value)
        number = self._numbers.get(id(value))
        if number is not None:
            return [_REFERENCE, number]
        self._numbers[id(value)] = len(self._numbers)
        self._kept.append(value)
        return write(self, value)

    def _write_nodes(self, values: Iterable[Any]) -> list[Any]:
        plain, node = self._plain, self.write_node
        return [value if type(value) in plain else node(value) for value in values]

    def write_int(self, value: int) -> Any:
        if -(1 << 63) <= value < 1 << 64:
            return value
        return [_BIG, value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)]

    def write_str(self, value: str) -> Any:
        try:
            value.encode()
        except UnicodeEncodeError:
            return [_TEXT, value.encode("utf-8", "surrogatepass")]
        return value

    def write_list(self, value: list[Any]) -> Any:
        if self._plain.issuperset(map(type, value)):
            return [_PLAIN_LIST, value]
        return [_LIST, *self._write_nodes(value)]

    def write_tuple(self, value: tuple[Any, ...]) -> Any:
        if self._plain.issuperset(map(type, value)):
            return [_PLAIN_TUPLE, *value]
        return [_TUPLE, *self._write_nodes(value)]

    def write_dict(self, value: dict[Any, Any]) -> Any:
        plain = self._plain
        if plain.issuperset(map(type, value.values())) and plain.issuperset(map(type, value)):
            return [_PLAIN_DICT, value]
        return [_DICT, *self._write_nodes(itertools.chain.from_iterable(value.items()))]

    def write_set(self, value: set[Any] | frozenset[Any]) -> Any:
        # Sorted by their bytes: the order of a set differs from process to process.
        nodes = sorted(map(self.write_node, value), key=msgspec.msgpack.encode)
        return [_SET if type(value) is set else _FROZENSET, *nodes]

    def write_deque(self, value: deque[Any]) -> Any:
        return [_DEQUE, value.maxlen, *self._write_nodes(value)]

    def write_array(self, value: np.ndarray[Any, Any]) -> Any:
        if value.dtype == np.object_:
            return [_OBJECT_ARRAY, value.shape, self.write_list(value.ravel().tolist())]
        if _DTYPE.fullmatch(value.dtype.str) is None:
            raise TypeError(f"an array of {value.dtype} can't be part of a state")
        # The layout is kept, since the order in which a product adds up depends on it.
        is_fortran = value.flags.f_contiguous and not value.flags.c_contiguous
        flags = (_FORTRAN if is_fortran else 0) | (0 if value.flags.writeable else _READ_ONLY)
        data = value.tobytes("F" if is_fortran else "C")
        return [_ARRAY, value.dtype.str, value.shape, flags, data]

    def write_scalar(self, value: np.generic) -> Any:
        return [_SCALAR, value.dtype.str, value.tobytes()]

    def write_enum(self, value: Enum) -> Any:
        return [_ENUM, name_of(type(value)), value.name]

    def write_object(self, value: Any) -> Any:
        kind = type(value)
        if issubclass(kind, msgspec.Struct):
            names, values = kind.__struct_fields__, _values_of(kind)(value)
            if left_out := [
                k for k, d in _find_float_defaults(kind).items() if getattr(value, k) is d
            ]:
                pairs = zip(names, values, strict=True)
                kept = {name: field for name, field in pairs if name not in left_out}
                names, values = tuple(kept), kept.values()
        else:
            fields = _fields_of(value)
            names, values = tuple(fields), fields.values()
        number = self._shape_numbers.get((kind, names))
        if number is None:
            number = self._shape_numbers[kind, names] = len(self.shapes)
            self.shapes.append((name_of(kind), version_of(kind), names))
        return [_OBJECT, number, *self._write_nodes(values)]

    def write_foreign(self, value: Any) -> Any:
        self.foreign.append(value)
        return [_FOREIGN, len(self.foreign) - 1]


_WRITES: dict[type, Callable[[_Writer, Any], Any]] = {
    int: _Writer.write_int,
    str: _Writer.write_str,
    list: _Writer.write_list,
    tuple: _Writer.write_tuple,
    dict: _Writer.write_dict,
    set: _Writer.write_set,
    frozenset: _Writer.write_set,
    deque: _Writer.write_deque,
    np.ndarray: _Writer.write_array,
}
_WITHOUT_IDENTITY = (int, str, tuple, frozenset)


@functools.cache
def _choose_writer(kind: Any) -> Callable[[_Writer, Any], Any]:
    if issubclass(kind, np.generic):
        return _Writer.write_scalar
    if _is_enum(kind):
        return _Writer.write_enum
    return _Writer.write_object if is_ours(kind) else _Writer.write_foreign


# ------------------------------------------------------------------------------------ reading


class _Reader:
    """Makes the objects of a tree of nodes; numbers them as `_Writer` does."""

    def __init__(self, shapes: list[_Shape], foreign: list[Any]) -> None:
        self._shapes = shapes
        self._foreign = foreign
        self._made: list[Any] = []

    def read_value(self, node: Any) -> Any:
        return _READS[node[0]](self, node) if type(node) is list else node

    def _read_values(self, node: list[Any], start: int = 1) -> list[Any]:
        return [
            _READS[part[0]](self, part) if type(part) is list else part for part in node[start:]
        ]

    def _identify_object(self, made: Any) -> Any:
        self._made.append(made)
        return made

    def read_reference(self, node: list[Any]) -> Any:
        made = self._made[node[1]]
        if made is _NOT_YET:
            raise BadInput("a part that is made whole stands inside itself")
        return made

    def read_list(self, node: list[Any]) -> Any:
        made = self._identify_object([])
        made.extend(self._read_values(node))
        return made

    def read_plain(self, node: list[Any]) -> Any:
        return self._identify_object(node[1])

    def read_tuple(self, node: list[Any]) -> Any:
        return tuple(self._read_values(node))

    def read_plain_tuple(self, node: list[Any]) -> Any:
        return tuple(node[1:])

    def read_dict(self, node: list[Any]) -> Any:
        made = self._identify_object({})
        values = iter(self._read_values(node))
        made.update(zip(values, values, strict=True))
        return made

    def read_set(self, node: list[Any]) -> Any:
        made = self._identify_object(set())
        made.update(self._read_values(node))
        return made

    def read_frozenset(self, node: list[Any]) -> Any:
        return frozenset(self._read_values(node))

    def read_deque(self, node: list[Any]) -> Any:
        made: deque[Any] = self._identify_object(deque(maxlen=node[1]))
        made.extend(self._read_values(node, 2))
        return made

    def read_array(self, node: list[Any]) -> Any:
        _, dtype, shape, flags, data = node
        made = np.frombuffer(bytearray(data), _read_dtype(dtype))
        made = made.reshape(shape, order="F" if flags & _FORTRAN else "C")
        made.flags.writeable = not flags & _READ_ONLY
        return self._identify_object(made)

    def read_object_array(self, node: list[Any]) -> Any:
        place = len(self._made)
        self._made.append(_NOT_YET)
        _, shape, (kind, *rest) = node
        values = rest[0] if kind == _PLAIN_LIST else [self.read_value(part) for part in rest]
        if len(values) != math.prod(shape):
            raise BadInput(f"{len(values)} objects are no array of shape {shape}")
        # Not by assignment, which would unpack tuples of equal length.
        made = np.fromiter(values, np.object_, count=len(values)).reshape(shape)
        self._made[place] = made
        return made

    def read_scalar(self, node: list[Any]) -> Any:
        return self._identify_object(np.frombuffer(node[2], _read_dtype(node[1]), count=1)[0])

    def read_big(self, node: list[Any]) -> Any:
        return int.from_bytes(node[1], "little", signed=True)

    def read_text(self, node: list[Any]) -> Any:
        return node[1].decode("utf-8", "surrogatepass")

    def read_enum(self, node: list[Any]) -> Any:
        return self._identify_object(_class_named(node[1])[node[2]])

    def read_foreign(self, node: list[Any]) -> Any:
        return self._identify_object(self._foreign[node[1]])

    def read_object(self, node: list[Any]) -> Any:
        shape = self._shapes[node[1]]
        cls = shape.cls
        if issubclass(cls, msgspec.Struct | tuple):
            place = len(self._made)
            self._made.append(_NOT_YET)
            made = cls(**shape.upgrade_values(self._read_values(node, 2)))
            self._made[place] = made
            return made
        made = self._identify_object(cls.__new__(cls))
        self._fill_object(made, shape.upgrade_values(self._read_values(node, 2)))
        return made

    @staticmethod
    def _fill_object(made: Any, fields: dict[str, Any]) -> None:
        cls: Any = type(made)
        declared = _find_declared_fields(cls)
        if declared is None:
            set_state = getattr(cls, "__setstate__", None)
            if set_state is None:
                made.__dict__.update(fields)
            else:
                set_state(made, fields)
            return
        if declared != fields.keys():
            wrong = ", ".join(sorted(declared ^ fields.keys()))
            raise BadInput(f"{name_of(cls)} was written with other fields: {wrong}")
        for name, value in fields.items():
            object.__setattr__(made, name, value)


def _read_dtype(text: Any) -> np.dtype[Any]:
    if _DTYPE.fullmatch(text) is None:
        raise BadInput(f"a state can't hold an array of {text!r}")
    dtype: np.dtype[Any] = np.dtype(text)
    return dtype


_NOT_YET = object()
_READS: dict[int, Callable[[_Reader, list[Any]], Any]] = {
    _REFERENCE: _Reader.read_reference,
    _LIST: _Reader.read_list,
    _PLAIN_LIST: _Reader.read_plain,
    _TUPLE: _Reader.read_tuple,
    _PLAIN_TUPLE: _Reader.read_plain_tuple,
    _DICT: _Reader.read_dict,
    _PLAIN_DICT: _Reader.read_plain,
    _SET: _Reader.read_set,
    _FROZENSET: _Reader.read_frozenset,
    _DEQUE: _Reader.read_deque,
    _ARRAY: _Reader.read_array,
    _OBJECT_ARRAY: _Reader.read_object_array,
    _SCALAR: _Reader.read_scalar,
    _BIG: _Reader.read_big,
    _TEXT: _Reader.read_text,
    _OBJECT: _Reader.read_object,
    _ENUM: _Reader.read_enum,
    _FOREIGN: _Reader.read_foreign,
}

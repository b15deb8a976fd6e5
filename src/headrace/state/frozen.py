"""Freezes state objects to bytes and thaws them: a header, Headrace's state, a pickle of models.

This module is no defence against those who can sign snapshots: the signature is checked first, in
`adapters.snapshots.store`. It writes no file and holds no key. Headrace's own objects are stored as
data (`state.codec`), whose meaning no version of Headrace, Python or numpy changes. Only other
objects, such as river models, are a pickle (`state.model_pickle`), which is tied to the versions
that wrote it.
"""

from __future__ import annotations

import functools
import hashlib
import platform
from importlib.metadata import version
from typing import Any

import msgspec

from ..errors import BadInput, BadSettings
from .codec import decode_state, encode_state, without_collection
from .model_pickle import GiveWay, allowed_by, pickle_object, unpickle_object

__all__ = ["FORMAT", "Header", "allowed_by", "freeze", "thaw"]

FORMAT = 2
"""The present format. Format 1, one pickle of everything, is refused."""

_MAGIC = b"HRSTATE\n"
_LENGTH_BYTES = 4


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON before the body, whose first `data` bytes are data and whose rest is a pickle.

    `kind` says whose state it is, `length` and `sha256` describe the body; the versions are those
    of the programs that wrote it.
    """

    format: int
    kind: str
    headrace: str
    python: str
    river: str
    numpy: str
    sha256: str
    length: int
    data: int = 0


def freeze(state: object, *, kind: str, give_way: GiveWay | None = None) -> bytes:
    """Return the state as bytes: magic, length of the header, header, body.

    `kind` names whose state it is. With `give_way`, which is called often, freezing in one thread
    does not hold up the others. Raises `BadSettings` for a state that can't be written, such as
    that of a model with a lambda.

    >>> thaw(freeze({"seen_n": 3}, kind="engine"), kind="engine")
    {'seen_n': 3}
    """
    try:
        data, foreign = encode_state(state)
    except (TypeError, RecursionError) as error:
        raise BadSettings(f"the state can't be written: {error}") from error
    body = data + (pickle_object(foreign, give_way) if foreign else b"")
    header = msgspec.json.encode(
        Header(
            format=FORMAT,
            kind=kind,
            **_list_versions(),
            sha256=hashlib.sha256(body).hexdigest(),
            length=len(body),
            data=len(data),
        )
    )
    return _MAGIC + len(header).to_bytes(_LENGTH_BYTES, "big") + header + body


def thaw(
    blob: bytes,
    *,
    kind: str,
    allowed: frozenset[str] = frozenset(),
    give_way: GiveWay | None = None,
) -> Any:
    """Return the state in a blob that `freeze` made; `allowed` comes from `allowed_by`.

    `give_way` is as in `freeze`.

    Raises `BadInput` if the blob is damaged, of another kind, has a class of a later version than
    this Headrace knows, models of another minor version of river or numpy, or anything that models
    must not contain.

    >>> thaw(freeze(1, kind="model"), kind="engine")
    Traceback (most recent call last):
    headrace.errors.BadInput: this state is of kind 'model'; 'engine' is wanted
    """
    header, body = _split_blob(blob, kind)
    data, models = body[: header.data], body[header.data :]
    try:
        with without_collection():
            foreign = unpickle_object(models, allowed, give_way) if models else []
        return decode_state(data, foreign)
    except (KeyboardInterrupt, SystemExit):
        raise
    # Damage can raise anything; a panic in river's Rust is a BaseException, but no Exception.
    except BaseException as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(f"the state can't be read: {text}") from error


@functools.cache
def _list_versions() -> dict[str, str]:
    return {
        "headrace": version("headrace"),
        "python": platform.python_version(),
        "river": version("river"),
        "numpy": version("numpy"),
    }


def _split_blob(blob: bytes, kind: str) -> tuple[Header, bytes]:
    """Return header and body of a blob. Raises `BadInput` if it can't be read here."""
    start = len(_MAGIC) + _LENGTH_BYTES
    if blob[: len(_MAGIC)] != _MAGIC:
        raise BadInput("this is not a state of Headrace")
    end = start + int.from_bytes(blob[len(_MAGIC) : start], "big")
    try:
        header = msgspec.json.decode(blob[start:end], type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"the header of the state can't be read: {error}") from error
    if header.format != FORMAT:
        raise BadInput(f"this state has format {header.format}, not {FORMAT}; {_REBUILT}")
    if header.kind != kind:
        raise BadInput(f"this state is of kind {header.kind!r}; {kind!r} is wanted")
    body = blob[end:]
    if len(body) != header.length or hashlib.sha256(body).hexdigest() != header.sha256:
        raise BadInput("the state is damaged: its body is not the one its header describes")
    if not 0 < header.data <= len(body):
        raise BadInput("the state is damaged: its header tells of more data than there is")
    if header.data < len(body):
        # Python's version is not checked: pickles survive its versions, libraries' layouts don't.
        for library in ("river", "numpy"):
            then, now = getattr(header, library), _list_versions()[library]
            if then.split(".")[:2] != now.split(".")[:2]:
                raise BadInput(
                    f"the models in this state are of {library} {then} and {now} is installed; "
                    + _REBUILT
                )
    return header, body


_REBUILT = "the state is rebuilt from the log (docs/SNAPSHOTS.md, 'Without a snapshot')"

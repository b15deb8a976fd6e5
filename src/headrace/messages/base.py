"""What all messages share: values of features, spelling of classes, and the base class."""

from __future__ import annotations

from typing import TypeAlias

import msgspec
import numpy as np

Value: TypeAlias = float | int | bool | str | None
Features: TypeAlias = dict[str, Value]


def class_name(label: object) -> str:
    """Spell a class, so that `1`, `1.0` and `"1"` from three tools are one class.

    Args:
        label: The class as it came.

    Returns:
        Its one spelling.

    >>> class_name(True), class_name(1), class_name(1.0), class_name("spam")
    ('true', '1', '1', 'spam')
    """
    if isinstance(label, str):
        return label
    if isinstance(label, bool | np.bool_):
        return "true" if label else "false"
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return str(int(label))
    return str(label)


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """Base class of all messages; encoded, each has the name of its class in the field `type`.

    >>> from headrace import Tick
    >>> msgspec.json.encode(Tick(at=60.0))
    b'{"type":"Tick","at":60.0}'
    """

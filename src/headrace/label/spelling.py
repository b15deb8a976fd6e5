"""The class of an answer as it is known: one class in several spellings, and closed lists."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..messages import Answer
from ..settings import SchemaSettings


def spelt(answer: Answer, known: Iterable[str], schema: SchemaSettings) -> tuple[Answer, str]:
    """The answer with its class as in `known`; and what is wrong with that, empty if nothing.

    >>> said = Answer(request_id="r", label="TRUE", at=0.0)
    >>> spelt(said, ["false", "true"], SchemaSettings(class_spelling="join"))[0].label
    'true'
    >>> spelt(said, ["ham", "spam"], SchemaSettings(classes_closed=True))[1]
    "class 'TRUE' is none of schema.classes, which are closed"
    """
    label, names = answer.label, list(known)
    if label is None or label in names:
        return answer, ""
    bare = label.strip().casefold()
    same = next((name for name in names if name.strip().casefold() == bare), None)
    if same is not None and schema.class_spelling == "join":
        return msgspec.structs.replace(answer, label=same), ""
    if same is not None and schema.class_spelling == "refuse":
        fault = f"class {label!r} is new, and {same!r} is known"
        return answer, f"{fault}; schema.class_spelling says whether they are one"
    if schema.classes_closed:
        return answer, f"class {label!r} is none of schema.classes, which are closed"
    return answer, ""

"""The class of an answer in its known spelling: one class in several spellings, closed lists."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from ..messages import Answer
from ..settings import SchemaSettings


def spell_class(
    answer: Answer, known: Collection[str], schema: SchemaSettings
) -> tuple[Answer, str]:
    """The answer with its class spelled as in `known`, and its fault as a sentence, or "".

    Space around a class is dropped, unless a known class has it.

    >>> said = Answer(request_id="r", label=" TRUE ", at=0.0)
    >>> spell_class(said, ["false", "true"], SchemaSettings(class_spelling="join"))[0].label
    'true'
    >>> spell_class(said, ["ham", "spam"], SchemaSettings(classes_closed=True))[1]
    "class 'TRUE' is none of schema.classes, and schema.classes_closed is true"
    """
    if answer.label is None or answer.label in known:
        return answer, ""
    label = answer.label.strip()
    same = [name for name in known if name.strip().casefold() == label.casefold()]
    fault = ""
    if label in known or not same or schema.class_spelling == "keep":
        if schema.classes_closed and label not in known:
            fault = f"class {label!r} is none of schema.classes, and schema.classes_closed is true"
    elif len(same) > 1:
        fault = f"class {label!r} is new; {same} are known, and which is meant can't be told"
    elif schema.class_spelling == "join":
        (label,) = same
    else:
        fault = f"class {label!r} is new, and {same[0]!r} is known; set schema.class_spelling to "
        fault += '"join" where they are one class, to "keep" where they are two'
    return msgspec.structs.replace(answer, label=label), fault

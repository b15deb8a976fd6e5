"""Which classes people may answer at the desk, and how these are spelled: as the run takes them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from ...label.spelling import spell_class
from ...messages import Answer
from ...settings import SchemaSettings
from .calls import Refused

LABEL_MAX = 500

_JOINERS = dict.fromkeys((0x200C, 0x200D))
"""Characters without width that words of some languages and emoji have in them."""


def check_label(
    label: str, classes: Sequence[str], schema: SchemaSettings, *, can_add: bool
) -> str:
    """Return the class that somebody named, in its known spelling; new ones only if one `can_add`.

    `classes` are the known ones. Raises `Refused` for a class that the run would not take.

    >>> check_label(" ham ", ["ham", "spam"], SchemaSettings(), can_add=False)
    'ham'
    """
    # A letter with an accent may be one character or two, and looks the same.
    name = unicodedata.normalize("NFC", label.strip())
    if label in classes or name in classes:
        return label if label in classes else name
    shown = name.translate(_JOINERS)
    if not shown.strip() or len(label) > LABEL_MAX or not shown.isprintable():
        raise Refused(400, f"A class is a text of 1 to {LABEL_MAX} characters in one line.")
    if not can_add:
        known = ", ".join(classes)[:500]
        raise Refused(400, f"{label[:100]} is no class of this stream; it has {known}.")
    answer = Answer(request_id="", label=name, at=0.0)
    answer, fault = spell_class(answer, classes, schema)
    if not fault and answer.label not in classes and len(classes) >= schema.classes_max:
        fault = f"class {name!r} would be one more than schema.classes_max, {schema.classes_max}"
    if fault or answer.label is None:
        raise Refused(400, f"Choose a class that is known: {fault}.")
    return answer.label

"""The river members of a committee as a learner of their own: what a retraining makes anew.

They learn one label at a time and forget nothing, so they can be retrained as any river model can;
the committee's other members tune their own memories. What is judged is the whole committee's word:
the others speak as they did when the event came, these speak in their places.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from river import base

from ..messages import Context, Features
from .committee.committee import Committee, default_members, without_free_texts
from .committee.evidence import Floats, Rows
from .committee.members import RiverMember
from .committee.stacker import Stacker, logs_of
from .habits import takes_weight
from .schema_view import SchemaView
from .scoring import by_class, is_likeliest


class RiverPart:
    """River members of `committee`, which it shares until it is copied.

    >>> class Amounts:
    ...     names, kinds, classes, width = ["amount"], ["numeric"], ["fine", "fraud"], 1
    ...     def features(self, row, original=None):
    ...         return {"amount": float(row[0])}
    >>> part = RiverPart(Committee(), Amounts()).unlearned()
    >>> for x in (1.0, 4.0, 90.0, 99.0) * 3:
    ...     _ = part.learn(np.array([x]), int(x > 50))
    >>> part.is_right(np.array([95.0]), 1)
    True
    """

    def __init__(self, committee: Committee, schema: SchemaView) -> None:
        self.schema = schema
        self.places = committee.river_places()
        self.members = committee.river_members()
        given = default_members() if committee.members is None else committee.members
        self._blank = [model for model in given if isinstance(model, base.Classifier)]
        self._codes = {code: place for place, code in enumerate(committee.classes)}
        self._stacker = Stacker(committee.trusts())
        self._stacker.exponents = committee.stacker.exponents.copy()

    @property
    def accepts_weight(self) -> bool:
        """Whether the weight arguments of all the members do what weights should."""
        kinds = zip(self.schema.names, self.schema.kinds, strict=True)
        names = [name for name, kind in kinds if kind == "numeric"]
        return all(takes_weight(model, names) for model in self._blank)

    def learn(
        self,
        row: Floats,
        code: int,
        weight: float = 1.0,
        *,
        at: float | None = None,
        key: Hashable = None,
        context: Context | None = None,
        original: Features | None = None,
    ) -> bool:
        """Learn one example; a member that raises does not take the others along."""
        place = self._codes.setdefault(code, len(self._codes))
        x = without_free_texts(self.schema.features(row, original))
        for member in self.members:
            try:
                member.learn(x, place, weight)
            except Exception:  # whatever a member of the user's raises, the others go on
                continue
        return True

    def predict_row(
        self, row: Floats, context: Context | None = None, original: Features | None = None
    ) -> Floats:
        """What the committee with these members says of one row, shape (k,)."""
        k = len(self.schema.classes)
        said = self._said_in(context)
        x = without_free_texts(self.schema.features(row, original))
        rows = Rows(np.zeros((1, 0)), np.zeros(1), said.shape[1], lambda _: x)
        for place, member in zip(self.places, self.members, strict=True):
            try:
                answer = member.predict(rows)[0]
            except Exception:  # as in learn
                answer = np.zeros(said.shape[1])
            total = float(answer.sum())
            is_good = 0.0 < total < np.inf and float(answer.min()) >= 0.0
            said[place] = answer / total if is_good else 1.0 / max(1, said.shape[1])
        pooled = self._stacker.pool(logs_of(said[:, np.newaxis]))
        found: Floats = by_class(list(self._codes), pooled, k)[0]
        return found

    def is_right(
        self,
        row: Floats,
        code: int,
        context: Context | None = None,
        original: Features | None = None,
    ) -> bool:
        """Whether the committee with these members would have said so."""
        said = self.predict_row(row, context, original)
        return is_likeliest(said, code)

    def unlearned(self) -> RiverPart:
        """The same members with nothing learned, in the same places."""
        return self._copy_with([RiverMember(copy.deepcopy(model)) for model in self._blank])

    def copy(self) -> RiverPart:
        """Independent members that know the same; the schema is shared."""
        return self._copy_with(copy.deepcopy(self.members))

    def attach(self, schema: SchemaView) -> None:
        """Read rows by this schema from now on."""
        self.schema = schema

    def copy_beside(self, part: RiverPart) -> RiverPart:
        """A copy that knows the classes and the exponents of a newer part."""
        newer = self.copy()
        newer.schema, newer._codes = part.schema, dict(part._codes)
        newer._stacker = copy.deepcopy(part._stacker)
        return newer

    def _copy_with(self, members: Sequence[RiverMember]) -> RiverPart:
        other = copy.copy(self)
        other.members = list(members)
        other._codes = dict(self._codes)
        return other

    def _said_in(self, context: Context | None) -> Floats:
        """Opinions on arrival, shape (members, classes); alike where there are none."""
        members_n, classes_n = len(self._stacker.exponents), max(1, len(self._codes))
        said = np.zeros((members_n, classes_n))
        opinions: dict[Any, tuple[float, ...]] = {} if context is None else context.opinions
        for code, place in self._codes.items():
            of_members = opinions.get(self.schema.classes[code], ())
            if len(of_members) == members_n:
                said[:, place] = of_members
        total = said.sum(axis=1, keepdims=True)
        return np.where(total > 0.0, said / np.where(total > 0.0, total, 1.0), 1.0 / classes_n)

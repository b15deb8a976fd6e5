"""The river members of a committee as a separate learner: the part that a retraining replaces.

They learn one label at a time and forget nothing, so they can be retrained like any river model;
the committee's other members tune their own memories. The pool of the whole committee is judged:
the other members with their opinions on arrival, the river members with their present ones.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from river import base

from ..messages import Context, Features
from ..state.copying import copy_object
from .committee.committee import Committee
from .committee.evidence import Floats, Rows
from .committee.members import RiverMember, default_members, without_free_texts
from .committee.stacker import Stacker, logs_of
from .habits import takes_weight
from .schema_view import SchemaView
from .scorers.scorer import by_class, is_likeliest


class RiverPart:
    """The river members of `committee`, shared with it until this part is copied.

    >>> class Amounts:
    ...     names, kinds, classes, width = ["amount"], ["numeric"], ["fine", "fraud"], 1
    ...     def features(self, row, original=None):
    ...         return {"amount": float(row[0])}
    >>> part = RiverPart(Committee(), Amounts()).make_unlearned()
    >>> for x in (1.0, 4.0, 90.0, 99.0) * 3:
    ...     _ = part.learn(np.array([x]), int(x > 50))
    >>> part.is_right(np.array([95.0]), 1)
    True
    """

    def __init__(self, committee: Committee, schema: SchemaView) -> None:
        self.schema = schema
        self.places = committee.river_places()
        self.members = committee.river_members()
        templates = default_members() if committee.members is None else committee.members
        self._blank = [model for model in templates if isinstance(model, base.Classifier)]
        self._codes = {code: place for place, code in enumerate(committee.classes)}
        self._stacker = Stacker(committee.trusts())
        self._stacker.exponents = committee.stacker.exponents.copy()

    @property
    def accepts_weight(self) -> bool:
        """Whether the weight arguments of all members work; see `takes_weight`."""
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
        """Learn one example; a member that raises does not stop the others.

        `row`, shape (d,), `original`, `code` and `weight` are as in `Learner.learn`; the rest is
        ignored. Returns true.
        """
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
        """The probabilities of one row by the committee with these members, shape (k,)."""
        k = len(self.schema.classes)
        opinions = self._opinions_in(context)
        x = without_free_texts(self.schema.features(row, original))
        rows = Rows(np.zeros((1, 0)), np.zeros(1), opinions.shape[1], lambda _: x)
        for place, member in zip(self.places, self.members, strict=True):
            try:
                answer = member.predict(rows)[0]
            except Exception:  # as in learn
                answer = np.zeros(opinions.shape[1])
            total = float(answer.sum())
            is_good = 0.0 < total < np.inf and float(answer.min()) >= 0.0
            opinions[place] = answer / total if is_good else 1.0 / max(1, opinions.shape[1])
        pooled = self._stacker.pool(logs_of(opinions[:, np.newaxis]))
        by_code: Floats = by_class(list(self._codes), pooled, k)[0]
        return by_code

    def is_right(
        self,
        row: Floats,
        code: int,
        context: Context | None = None,
        original: Features | None = None,
    ) -> bool:
        """Whether the committee with these members predicts class `code`."""
        probabilities = self.predict_row(row, context, original)
        return is_likeliest(probabilities, code)

    def make_unlearned(self) -> RiverPart:
        """A part with unlearned members of the same kind, in the same places."""
        return self._copy_with([RiverMember(copy.deepcopy(model)) for model in self._blank])

    def copy(self) -> RiverPart:
        """An independent copy of the members; the schema is shared."""
        return self._copy_with(copy_object(self.members))

    def attach(self, schema: SchemaView) -> None:
        """Read rows by this schema from now on."""
        self.schema = schema

    def view_beside(self, part: RiverPart) -> RiverPart:
        """A part with the same members, and the classes and the exponents of a newer part."""
        newer = self._copy_with(self.members)
        newer.schema, newer._codes = part.schema, dict(part._codes)
        newer._stacker = copy.deepcopy(part._stacker)
        return newer

    def _copy_with(self, members: Sequence[RiverMember]) -> RiverPart:
        other = copy.copy(self)
        other.members = list(members)
        other._codes = dict(self._codes)
        return other

    def _opinions_in(self, context: Context | None) -> Floats:
        """The members' opinions on arrival, shape (members, classes); uniform if missing."""
        members_n, classes_n = len(self._stacker.exponents), max(1, len(self._codes))
        shares = np.zeros((members_n, classes_n))
        opinions: dict[Any, tuple[float, ...]] = {} if context is None else context.opinions
        for code, place in self._codes.items():
            of_members = opinions.get(self.schema.classes[code], ())
            if len(of_members) == members_n:
                shares[:, place] = of_members
        total = shares.sum(axis=1, keepdims=True)
        return np.where(total > 0.0, shares / np.where(total > 0.0, total, 1.0), 1.0 / classes_n)

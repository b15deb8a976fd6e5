"""What a row of the desk's file says: cells as they are stored, sealed where there are keys."""

from __future__ import annotations

import msgspec

from ...messages import LabelRequested
from ..database import SealedCells

_REQUEST = msgspec.json.Decoder(LabelRequested)


class DeskCells(SealedCells):
    """The cells of a desk: requests, and labels and notes of answers.

    An answer is named by its number, its request and its annotator.
    """

    def encode_request(self, request: LabelRequested) -> bytes:
        body = msgspec.json.encode(request)
        return self.seal_text(body, "questions.body", request.request_id)

    def decode_request(self, request_id: str, body: bytes) -> LabelRequested:
        return _REQUEST.decode(self.unseal_text(body, "questions.body", request_id))

    def encode_answer(
        self, n: int, request_id: str, person: str, label: str | None, note: str
    ) -> tuple[str | bytes | None, str | bytes]:
        """Return what is stored for the label and the note of an answer."""
        if not self.are_sealed:
            return label, note
        key = _name_answer(n, request_id, person)
        stored = label and self.seal_text(label.encode(), "answers.label", key)
        return stored, self.seal_text(note.encode(), "answers.note", key)

    def decode_label(
        self, n: int, request_id: str, person: str, stored: str | bytes | None
    ) -> str | None:
        """Return the label of an answer; None for "cannot tell"."""
        return None if stored is None else self._decode("label", n, request_id, person, stored)

    def decode_note(self, n: int, request_id: str, person: str, stored: str | bytes) -> str:
        return self._decode("note", n, request_id, person, stored)

    def _decode(
        self, column: str, n: int, request_id: str, person: str, stored: str | bytes
    ) -> str:
        cell = stored.encode() if isinstance(stored, str) else stored
        key = _name_answer(n, request_id, person)
        return self.unseal_text(cell, f"answers.{column}", key).decode()


def _name_answer(n: int, request_id: str, person: str) -> str:
    return f"{n} {request_id} {person}"

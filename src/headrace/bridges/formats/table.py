"""CSV for a spreadsheet: a row a task, with an empty column for the label.

A cell that a spreadsheet would take for a formula is written as text ("CSV Injection", OWASP): one
that begins with =, +, -, @, a tab or a line break gets an apostrophe before it. Tables are read
with commas, semicolons or tabs, in UTF-8 or UTF-16, as spreadsheets save them.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence

from ...importing import suggest_nearest
from ...messages import LabelRequested, Value
from .format import Given, Reading, classes_of, guess_of, shorten_value
from .settings import FilesSettings

CELL_CHARS_MAX = 32_767
"""The most characters of a cell; spreadsheets cut a longer one, or spread it over others."""

# Spreadsheets in Chinese and Japanese take full-width signs for formulas too.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
# A text without any letter but e may be taken for a number, a date or a time.
_NUMBER = re.compile(r"[^A-DF-Za-df-z]+")
_DELIMITERS = ",;\t"
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


def guard_cell(text: str) -> str:
    """Return a text as a cell that no spreadsheet calculates; `unguard_cell` reverses it.

    >>> guard_cell("=1+1"), guard_cell("ham"), guard_cell("'tis"), unguard_cell(guard_cell("=1+1"))
    ("'=1+1", 'ham', "''tis", '=1+1')
    """
    return f"'{text}" if _FORMULA.match(text) or text.startswith("'") else text


def unguard_cell(cell: str) -> str:
    """Return the text of a cell, whether `guard_cell` or a person wrote it."""
    return cell.removeprefix("'")


class Spreadsheet:
    """Tables of tasks and answers.

    >>> table = Spreadsheet(FilesSettings())
    >>> table.replies_of(b"request_id;label;annotator\\nr1;ham;ada\\nr2;;\\n").given
    [Given(line=2, request_id='r1', label='ham', at=None, annotator='ada')]
    """

    suffix = ".csv"

    def __init__(self, settings: FilesSettings) -> None:
        self._settings = settings
        self._id = settings.request_id
        self._label = settings.label or "label"
        self._annotator = settings.annotator or "annotator"
        self._at = settings.at or "at"

    # ---------------------------------------------------------------------------------- tasks

    def tasks_of(self, requests: Sequence[LabelRequested]) -> bytes:
        settings = self._settings
        features = dict.fromkeys(name for request in requests for name in request.features)
        names = [settings.text] if settings.text else list(features)
        own_names = [self._id, self._label, self._annotator, "choices"]
        own_names += ["guess"] if settings.show_guess else []
        # A second opinion must come from somebody else than the people in this column.
        own_names += ["not by"] if any(one.not_by for one in requests) else []
        # A feature may have the same name as one of our own columns.
        heads = [f"feature {name}" if name in {*own_names, self._at} else name for name in names]
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(
            [guard_cell(shorten_value(cell, CELL_CHARS_MAX)) for cell in (*own_names, *heads)]
        )
        for request in requests:
            cells = [_id_cell(request.request_id), "", ""]
            cells.append(
                guard_cell(shorten_value(" | ".join(classes_of(request, settings)), CELL_CHARS_MAX))
            )
            if settings.show_guess:
                guess = guess_of(request, settings)
                cells.append(guard_cell(guess[0]) if guess is not None else "")
            if "not by" in own_names:
                cells.append(guard_cell(shorten_value(", ".join(request.not_by), CELL_CHARS_MAX)))
            cells += [self._make_cell(request.features.get(name)) for name in names]
            writer.writerow(cells)
        # Without the byte order mark, spreadsheets take UTF-8 for another encoding.
        return codecs.BOM_UTF8 + out.getvalue().encode()

    def _make_cell(self, value: Value) -> str:
        # Leave room for the apostrophe.
        text = shorten_value(value, min(self._settings.chars_max, CELL_CHARS_MAX - 1))
        # A negative number begins with - and is no formula.
        return guard_cell(text) if isinstance(value, str) else text

    # -------------------------------------------------------------------------------- answers

    def replies_of(self, content: bytes) -> Reading:
        reading = Reading()
        if content.startswith(_WORKBOOKS):
            reading.fault("this is a workbook; save it as CSV UTF-8")
            return reading
        rows = _read_rows(_decode_text(content), reading)
        _, head = next(rows, (0, []))
        names = [unguard_cell(name.strip()) for name in head]
        missing = [name for name in (self._id, self._label) if names.count(name) != 1]
        if missing:
            known = ", ".join(names)[:200]
            reading.fault(
                f"line 1 must name one column {missing[0]}, and names: {known}"
                f"{suggest_nearest(missing[0], names)}"
            )
            return reading
        for line, cells in rows:
            if any(cell.strip() for cell in cells):
                self._read_row(line, dict(zip(names, cells, strict=False)), reading)
        return reading

    def _read_row(self, line: int, row: dict[str, str], reading: Reading) -> None:
        request_id = unguard_cell(row.get(self._id, "").strip())
        label = row.get(self._label, "").strip()
        label = label if label in self._settings.classes else unguard_cell(label)
        who = unguard_cell(row.get(self._annotator, "").strip())
        if not request_id:
            reading.fault(f"there is nothing in {self._id}", line)
            return
        if not label:
            reading.blank.append(request_id)
            return
        if not _is_utf8(request_id + label + who):
            reading.fault("this is not UTF-8; save the table as CSV UTF-8", line)
            return
        when = row.get(self._at, "").strip()
        at = reading.time_in(_parse_number(when), line)
        reading.given.append(Given(line, request_id, label, at, who))


def _id_cell(request_id: str) -> str:
    """Return an id as a cell that no spreadsheet takes for a number: 12e45 would be infinity."""
    text = shorten_value(request_id, CELL_CHARS_MAX)
    return f"'{text}" if _NUMBER.fullmatch(text) else guard_cell(text)


def _parse_number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decode_text(content: bytes) -> str:
    """Decode a file; bytes that are no UTF-8 become halves of surrogate pairs."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    return content.removeprefix(codecs.BOM_UTF8).decode(errors="surrogateescape")


def _read_rows(text: str, reading: Reading) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table, each with the line on which it begins."""
    head = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    limit = csv.field_size_limit()
    line = 1
    while True:
        # The limit is global to the program, so it is restored before other code can run.
        csv.field_size_limit(max(limit, len(text) + 1))
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reading.fault(f"this is no row of a table: {error}", line)
            line = reader.line_num + 1
            continue
        finally:
            csv.field_size_limit(limit)
        yield line, cells
        line = reader.line_num + 1

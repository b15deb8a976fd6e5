"""SageMaker Ground Truth: input manifests out, output manifests of classification jobs in.

After its documentation ("Input manifest files", "Labeling job output data"): a line is an object
with `source` or `source-ref`. Our own keys come back unchanged, beside the label attribute of the
job and its `-metadata`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...messages import LabelRequested
from .format import Given, Reading, annotator_in, image_of, lines_of, text_of
from .settings import FilesSettings

ATTRIBUTE_CHARS_MAX = 20_000
LINE_CHARS_MAX = 100_000
METADATA = "-metadata"


class GroundTruth:
    """Manifests of SageMaker Ground Truth.

    Labels that its automation gave are left out: they would teach our model the guesses of another.

    >>> line = (
    ...     b'{"source": "hi", "request_id": "r1", "kind": 0, "kind-metadata": '
    ...     b'{"class-name": "ham", "human-annotated": "yes", "job-name": "labeling-job/mail", '
    ...     b'"creation-date": "2026-03-01T10:00:00", "type": "groundtruth/text-classification"}}'
    ... )
    >>> GroundTruth(FilesSettings()).replies_of(line).given[0].label
    'ham'
    """

    suffix = ".manifest"

    def __init__(self, settings: FilesSettings) -> None:
        self._settings = settings

    def tasks_of(self, requests: Sequence[LabelRequested]) -> bytes:
        return b"".join(self._make_line(request).encode() + b"\n" for request in requests)

    def _make_line(self, request: LabelRequested) -> str:
        keys = {self._settings.request_id: request.request_id}
        image = image_of(request, self._settings)
        if image:
            return json.dumps({"source-ref": image, **keys})
        text = text_of(request, self._settings)[:ATTRIBUTE_CHARS_MAX]
        line = json.dumps({"source": text, **keys})
        while len(line) > LINE_CHARS_MAX:
            # One character may be escaped as up to twelve.
            text = text[: len(text) * LINE_CHARS_MAX // len(line) - 1]
            line = json.dumps({"source": f"{text}…", **keys})
        return line

    def replies_of(self, content: bytes) -> Reading:
        reading = Reading()
        machines_n = 0
        for line, record in lines_of(content, "Ground Truth", reading):
            machines_n += self._read_record(line, record, reading)
        if machines_n:
            reading.fault(
                f"{machines_n} labels were given by its automation, not by people, and are left out"
            )
        return reading

    def _read_record(self, line: int, found: dict[str, Any], reading: Reading) -> bool:
        """Read one record; return whether its label was given by the automation."""
        request_id = reading.id_in(found, self._settings.request_id, line)
        name = self._find_attribute(found, line, reading) if request_id else ""
        if not name:
            return False
        about = found.get(f"{name}{METADATA}")
        if name not in found and about is None:
            reading.blank.append(request_id)
            return False
        if not isinstance(about, dict):
            reading.fault(f"there is no {name}{METADATA} to say the class", line)
            return False
        if "failure-reason" in about:
            reading.blank.append(request_id)
            reading.fault(f"the job failed on it: {str(about['failure-reason'])[:200]}", line)
            return False
        if about.get("human-annotated", "yes") != "yes":
            return True
        label = _read_class(about, line, reading)
        if label is not None:
            at = about.get("creation-date")
            who = annotator_in(about, self._settings.annotator or "job-name")
            reading.given.append(Given(line, request_id, label, reading.time_in(at, line), who))
        return False

    def _find_attribute(self, found: dict[str, Any], line: int, reading: Reading) -> str:
        """Return the label attribute: that of the settings, or the only one of the record."""
        if self._settings.label:
            return self._settings.label
        names = [key.removesuffix(METADATA) for key in found if key.endswith(METADATA)]
        if len(names) == 1:
            return names[0]
        if names:
            reading.fault(f"labels are in {', '.join(names)[:200]}; set `label` to one", line)
        else:
            reading.fault("there is no label; set `label` to the label attribute of the job", line)
        return ""


def _read_class(about: dict[str, Any], line: int, reading: Reading) -> str | None:
    if "class-name" in about:
        return reading.label_in(about["class-name"], line)
    several = about.get("class-map")
    if isinstance(several, dict):
        return reading.only_label(several.values(), line)
    reading.fault("the metadata has no class-name: is the job a classification?", line)
    return None

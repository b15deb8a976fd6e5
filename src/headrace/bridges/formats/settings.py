"""The section `[bridges.files]`: a folder of files, and the names of columns or keys in them."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from msgspec import Meta, field

from ...settings.fields import Section, Size, about


class FilesSettings(Section, frozen=True, kw_only=True):
    """[bridges.files]: tasks as files in a folder, and answers from files in it."""

    format: Annotated[
        str,
        about(
            "Whose files they are: `csv`, a table for a spreadsheet; `prodigy` and `doccano`, an "
            "object a line; `ground-truth`, manifests; `argilla`, an array of records; or "
            "`module:class` of a format of your own."
        ),
    ] = "csv"
    folder: Annotated[
        str,
        about(
            "Where `tasks/` and `answers/` are, made if they are not there. Empty: in the bridge's "
            "own folder."
        ),
    ] = ""
    classes: Annotated[
        list[str],
        about(
            "The classes that people choose among: they stand in the tasks, and another one in an "
            "answer is a fault. Empty: those of the model's prediction are offered, and any is "
            "taken."
        ),
    ] = field(default_factory=list)
    text: Annotated[
        str,
        about(
            "The feature that is shown as the text of a task. Empty: all features are, a line "
            "each, or a column each in a table."
        ),
    ] = ""
    image: Annotated[
        str,
        about(
            "The feature that holds the address of a picture: `image` of Prodigy and `source-ref` "
            "of Ground Truth, instead of the text, and `image` of Argilla beside it. Empty: none."
        ),
    ] = ""
    show_guess: Annotated[
        bool,
        about(
            "Show what the model takes an event for, as a suggestion. People tend to agree with "
            "what they are shown, and labels then teach the model its own errors. doccano and "
            "Ground Truth have no place for it."
        ),
    ] = False
    request_id: Annotated[
        str, about("Name of the column or key with the id of the request, in tasks and answers.")
    ] = "request_id"
    label: Annotated[
        str,
        about(
            "Name of the column or key with the label: of Argilla the question's, of Ground Truth "
            "the label attribute of the job. Empty: `label`, of Ground Truth the only one there."
        ),
    ] = ""
    annotator: Annotated[
        str,
        about(
            "Name of the column or key with who answered. Empty: `annotator`, of Prodigy "
            "`_annotator_id`. Where it is absent, a file in `answers/NAME/` is by NAME."
        ),
    ] = ""
    at: Annotated[
        str,
        about(
            "Name of the column or key with the time of an answer. Empty: `at`, of Prodigy "
            "`_timestamp`. Where it is absent, the time of the file counts."
        ),
    ] = ""
    cannot_tell: Annotated[
        str,
        about("The label with which a person says that they can't tell, where no other way is."),
    ] = "?"
    chars_max: Annotated[
        Annotated[int, Meta(ge=10, le=1_000_000)],
        about(
            "A longer value of a feature is cut in a task, and ends in an ellipsis. A cell of a "
            "spreadsheet holds 32,767 characters, an attribute of Ground Truth 20,000."
        ),
    ] = 20_000
    tasks_max: Annotated[Size, about("Tasks in one file at most.")] = 500
    gather_s: Annotated[
        Annotated[float, Meta(ge=0, le=86_400)],
        about(
            "How long a task waits for others, so that a file has more than one; seconds. 0: each "
            "sending is a file."
        ),
    ] = 30.0
    quiet_s: Annotated[
        Annotated[float, Meta(ge=0, le=3_600)],
        about(
            "A file of answers is read when it has not changed for so long: then it is whole. 0: "
            "at once, for files that are moved there."
        ),
    ] = 2.0
    file_bytes_max: Annotated[
        Annotated[int, Meta(ge=1_000, le=2_000_000_000)],
        about("A larger file of answers is a fault, and isn't read."),
    ] = 100_000_000


def faults_of_files(settings: FilesSettings) -> list[str]:
    """Return what does not fit together, as sentences that begin with the name of a setting."""
    faults = []
    names = [fold_class(name) for name in settings.classes]
    if len(set(names)) < len(names):
        faults.append("classes has two that differ by case or space alone")
    if any(not name.strip() for name in settings.classes):
        faults.append("classes has an empty one")
    if settings.cannot_tell in settings.classes:
        faults.append(
            f"cannot_tell is {settings.cannot_tell!r}, which is one of the classes; give it "
            "another text"
        )
    if settings.image and settings.format in ("csv", "doccano"):
        faults.append(f"image is set, and {settings.format} shows no pictures; leave it out")
    if settings.show_guess and settings.format in ("doccano", "ground-truth"):
        faults.append(
            f"show_guess is true, and {settings.format} has no place for it; leave it out"
        )
    if not settings.request_id:
        faults.append("request_id must be the name of a column or key")
    return faults


def fold_class(name: str) -> str:
    """Return a class without differences of case, space around it, and the form of accents."""
    return unicodedata.normalize("NFC", name.strip()).casefold()

"""Tasks from requests, and the labelling configuration that shows them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from ...errors import BadSettings
from ...messages import DRAWN_AT_RANDOM, LabelRequested, Value
from .settings import LabelStudioSettings

MODEL_VERSION = "headrace"
"""The version in every prediction. Label Studio orders tasks by predictions of one version only, so
the version of the model itself stands in the `meta` of a task."""

_TABLE = "event"


def rate_informativeness(request: LabelRequested) -> float:
    """Return the priority of a request from 0 to 1, in the order of utilities.

    A utility may be any number, but Label Studio takes only scores from 0 to 1. Requests drawn at
    random, and second opinions, have no utility that could order them, so they come first: if they
    waited behind all others, the easy ones would never be answered, and the accuracy estimate would
    not be of all events. Where open questions are scored again, the result is the priority at the
    time of the import.
    """
    if request.reason in DRAWN_AT_RANDOM or request.opinion_n > 1:
        return 1.0
    if not request.judges:
        return request.priority
    return 0.5 + request.utility / (2.0 * (1.0 + abs(request.utility)))


def task_of(
    request: LabelRequested, settings: LabelStudioSettings, to_name: str, classes: Collection[str]
) -> dict[str, Any]:
    """Return the task of a request, as Label Studio imports it.

    `to_name` is the name of the tag that a choice is about. `classes` can be chosen in the
    project; a prediction of any other class is left out.
    """
    names = settings.features or [*request.features]
    guess = max(request.prediction, key=request.prediction.__getitem__, default=None)
    result = {
        "from_name": settings.choices,
        "to_name": to_name,
        "type": "choices",
        "value": {"choices": [guess]},
    }
    return {
        "data": {
            "request_id": request.request_id,
            "features": {
                _make_storable(name): _make_storable(request.features.get(name)) for name in names
            },
            **{
                variable: _to_text(request.features.get(name))
                for _, variable, name in _list_tags(settings)
            },
        },
        "meta": {
            "reason": request.reason,
            "strategy": request.strategy,
            "utility": request.utility,
            "model_version": request.model_version,
            "deadline": request.deadline,
        },
        "predictions": [
            {
                "model_version": MODEL_VERSION,
                "score": 1.0 - rate_informativeness(request),
                "result": [result] if guess in classes else [],
            }
        ],
    }


def label_config(settings: LabelStudioSettings, classes: Sequence[str]) -> str:
    """Return the labelling configuration of a project for these classes, as XML.

    Raises `BadSettings` for a name with a dollar, which Label Studio would take for a variable.

    >>> print(label_config(LabelStudioSettings(texts=["mail"]), ["ham & eggs", "spam"]))
    <View>
      <Header value="mail"/>
      <Text name="text_1" value="$text_1" valueType="text"/>
      <Table name="event" value="$features"/>
      <Choices name="label" toName="event" choice="single" required="true">
        <Choice value="ham &amp; eggs"/>
        <Choice value="spam"/>
      </Choices>
    </View>
    """
    faults = [
        f"bridges.label-studio.{setting} has {name!r}, and Label Studio takes a dollar for a "
        "variable; make the project there yourself, with the name in other words"
        for setting, names in (
            ("classes", classes),
            ("texts", settings.texts),
            ("images", settings.images),
            ("choices", [settings.choices]),
        )
        for name in names
        if "$" in name
    ]
    if faults:
        raise BadSettings(faults)
    lines = ["<View>"]
    for tag, variable, name in _list_tags(settings):
        kind = ' valueType="text"' if tag == "Text" else ""  # never an address to be fetched
        lines.append(f"  <Header value={quoteattr(name)}/>")
        lines.append(f'  <{tag} name="{variable}" value="${variable}"{kind}/>')
    lines.append(f'  <Table name="{_TABLE}" value="$features"/>')
    lines.append(
        f"  <Choices name={quoteattr(settings.choices)} "
        f'toName="{_TABLE}" choice="single" required="true">'
    )
    lines += [f"    <Choice value={quoteattr(name_of_class)}/>" for name_of_class in classes]
    lines += ["  </Choices>", "</View>"]
    return "\n".join(lines)


def _list_tags(settings: LabelStudioSettings) -> list[tuple[str, str, str]]:
    """Return for each feature with a tag of its own the tag, its variable and the feature."""
    texts = [("Text", f"text_{n}", name) for n, name in enumerate(settings.texts, 1)]
    images = [("Image", f"image_{n}", name) for n, name in enumerate(settings.images, 1)]
    return texts + images


def _to_text(value: Value) -> str:
    """Return a value as text; "" for None, because a task needs every variable."""
    return "" if value is None else str(_make_storable(value))


def _make_storable(value: Any) -> Any:
    """Replace NUL in a text, which PostgreSQL, below most Label Studios, does not take."""
    return value.replace("\x00", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value

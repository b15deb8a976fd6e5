"""Tasks from requests, and the labelling configuration that shows them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from ...errors import BadSettings
from ...messages import DRAWN_AT_RANDOM, LabelRequested, Value
from .settings import LabelStudioSettings

MODEL_VERSION = "headrace"
"""Of every prediction: Label Studio orders tasks by predictions of one version only, so that the
version of the model itself stands in the `meta` of a task."""

_TABLE = "event"


def rate_informativeness(request: LabelRequested) -> float:
    """The priority of a request from 0 to 1, in the order of the utilities.

    A utility may be any number, and Label Studio takes scores from 0 to 1 alone. Requests that were
    drawn at random, and second opinions, have no utility that says when they are due. They come
    first: if they waited behind all others, those that nobody gets to would be the easy ones, and
    the accuracy estimate would not be of all events. Where open questions are scored again, it is
    the priority that they were imported with.
    """
    if request.reason in DRAWN_AT_RANDOM or request.opinion_n > 1:
        return 1.0
    if not request.judges:
        return request.priority
    return 0.5 + request.utility / (2.0 * (1.0 + abs(request.utility)))


def task_of(
    request: LabelRequested, settings: LabelStudioSettings, to_name: str, classes: Collection[str]
) -> dict[str, Any]:
    """The task of a request, as Label Studio imports it.

    `to_name` is the tag that a choice is about, `classes` are those that can be chosen: a
    prediction of another one is left out.
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
    """The labelling configuration of a project for these classes, as XML.

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
    lines += [f"    <Choice value={quoteattr(one)}/>" for one in classes]
    lines += ["  </Choices>", "</View>"]
    return "\n".join(lines)


def _list_tags(settings: LabelStudioSettings) -> list[tuple[str, str, str]]:
    """The features that have a tag of their own: the tag, its variable, the feature."""
    texts = [("Text", f"text_{n}", name) for n, name in enumerate(settings.texts, 1)]
    images = [("Image", f"image_{n}", name) for n, name in enumerate(settings.images, 1)]
    return texts + images


def _to_text(value: Value) -> str:
    """A task needs every variable of the configuration: what is missing is an empty text."""
    return "" if value is None else str(_make_storable(value))


def _make_storable(value: Any) -> Any:
    """PostgreSQL, below most Label Studios, takes no NUL in a text."""
    return value.replace("\x00", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value

"""The section [label]: requests and answers, and how answers become a label."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from .fields import Few, Seconds, Section, Size, about

CONFIDENCE = 0.9
"""The value of `label.confidence` where it is not set."""

EXPERTS_MAX = 100


class LabelSettings(Section, frozen=True, kw_only=True):
    """[label]: requests and answers, and how answers become a label."""

    consensus: Annotated[
        Literal["majority", "dawid_skene"],
        about(
            "How answers become a label. `majority`: the class that more than half of them name. "
            "`dawid_skene`: the class that is probable enough, given how each annotator has erred; "
            "for requests with several answers (docs/ANNOTATORS.md)."
        ),
    ] = "majority"
    confidence: Annotated[
        Annotated[float, Meta(gt=0.5, lt=1)] | None,
        about(
            "For `dawid_skene`: a request with `answers_wanted` answers is settled if a class has "
            "at least this probability; otherwise it waits for one more answer. None: 0.9."
        ),
    ] = None
    unsure: Annotated[
        Literal["taken", "disputed", "asked"] | None,
        about(
            "For `dawid_skene`: what happens when no class reaches `confidence` and no more "
            "answers come. `taken`, also if not set: a class that is likelier than not is the "
            "label. `disputed`: there is no label. `asked`: `answers_wanted` answers settle a "
            "request; a label below `confidence` is asked again of another annotator, within "
            "`second_opinion_share`."
        ),
    ] = None
    deadline_s: Annotated[Seconds, about("Seconds after which a request expires.")] = 86_400.0
    answers_wanted: Annotated[Few, about("Answers needed before a request may be settled.")] = 1
    answers_max: Annotated[
        Few,
        about("Answers, `null` included, after which a request is decided or disputed."),
    ] = 3
    closed_n: Annotated[
        Size, about("How many ended requests are remembered, for late answers and corrections.")
    ] = 10_000
    late_answers: Annotated[
        Literal["taken", "refused"],
        about(
            "What happens to answers to a request that expired or was withdrawn. `taken`: they "
            "still make a label, so the budget for it is never paid back. `refused`: the budget is "
            "paid back at once and spent on another event; such an answer is rejected."
        ),
    ] = "taken"
    second_opinion_share: Annotated[
        Annotated[float, Meta(ge=0, le=0.5)],
        about(
            "Share of the labels that may be second opinions: a label that looks wrong is asked "
            "again of another annotator. 0: none. Each costs a label, and pays only where "
            "annotators err (`headrace_label_noise_ratio` shows how much); 0.2 suits 10 % of "
            "errors."
        ),
    ] = 0.0
    names_annotators: Annotated[
        bool,
        about(
            "Whether a label in the outputs names the annotators who answered, as it always does "
            "where second opinions are asked. `query.budget.price_by_annotator` needs these names."
        ),
    ] = False
    experts: Annotated[
        list[str],
        about(
            "Annotators whose answers are taken as the truth: a class that an expert names is the "
            "label, unless another expert names another class."
        ),
    ] = field(default_factory=list)
    gold_share: Annotated[
        Annotated[float, Meta(ge=0, le=0.5)],
        about(
            "Share of the settled requests that lead to a gold question: one that an expert has "
            "answered is asked again of others as if it were new, to learn how often each of them "
            "is right (docs/ANNOTATORS.md). 0: none. Gold questions cost answers and no labels."
        ),
    ] = 0.0
    open_max: Annotated[
        Size, about("The most open requests; at this limit nothing is asked until one ends.")
    ] = 10_000
    cost: Annotated[
        Annotated[float, Meta(ge=0)],
        about(
            "What one answer costs, in a unit of yours; only shown. With 1, answers are counted."
        ),
    ] = 1.0


def faults_of_label(label: LabelSettings) -> list[str]:
    """List the contradictions in `[label]`."""
    faults = []
    if label.answers_max < label.answers_wanted:
        faults.append(
            f"label.answers_max is {label.answers_max}; must be at least label.answers_wanted, "
            f"which is {label.answers_wanted}"
        )
    if label.consensus != "dawid_skene":
        faults += [
            f"label.{name} is {value}; only `dawid_skene` reads it, and label.consensus is "
            f"{label.consensus}"
            for name, value in (("confidence", label.confidence), ("unsure", label.unsure))
            if value is not None
        ]
    if label.gold_share and not label.experts:
        faults.append(
            f"label.gold_share is {label.gold_share:g}, and label.experts names nobody, so that no "
            "answer is known; name those whose answers are taken as the truth"
        )
    if len(label.experts) > EXPERTS_MAX or not all(label.experts):
        faults.append(
            f"label.experts has {len(label.experts)} names; must be at most {EXPERTS_MAX}, and "
            "none of them empty"
        )
    if label.unsure == "asked" and not label.second_opinion_share:
        faults.append(
            "label.unsure is asked, and label.second_opinion_share is 0, so that nothing may be "
            "asked again; 0.5 lets it be up to half of all labels"
        )
    return faults


def confidence_of(label: LabelSettings) -> float:
    """The probability of a class at which a request is settled."""
    return CONFIDENCE if label.confidence is None else label.confidence


def sure_of(label: LabelSettings) -> float:
    """The probability of a label below which it is asked again; 0 where no label is."""
    return confidence_of(label) if label.unsure == "asked" else 0.0

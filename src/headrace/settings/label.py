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
            "How answers become a label. `majority`: more than half of them. `dawid_skene`: the "
            "class that is likely enough by how each annotator has erred; for requests that "
            "several answer (docs/ANNOTATORS.md)."
        ),
    ] = "majority"
    confidence: Annotated[
        Annotated[float, Meta(gt=0.5, lt=1)] | None,
        about(
            "For `dawid_skene`: a request with `answers_wanted` answers is settled at this "
            "probability of a class, and waits for one more below it. None: 0.9."
        ),
    ] = None
    unsure: Annotated[
        Literal["taken", "disputed", "asked"] | None,
        about(
            "For `dawid_skene`: what becomes of a class below `confidence` when no more answers "
            "come. `taken`, as none is: it is the label if it is likelier than not. `disputed`: "
            "there is no label. `asked`: `answers_wanted` answers settle a request; a label below "
            "`confidence` is asked again, of somebody else, within `second_opinion_share`."
        ),
    ] = None
    deadline_s: Annotated[Seconds, about("A request expires after so many seconds.")] = 86_400.0
    answers_wanted: Annotated[Few, about("Answers needed before a request may be settled.")] = 1
    answers_max: Annotated[
        Few,
        about("Answers, refusals included, after which a request is decided or disputed."),
    ] = 3
    closed_n: Annotated[
        Size, about("Ended requests remembered for late answers and corrections.")
    ] = 10_000
    late_answers: Annotated[
        Literal["taken", "refused"],
        about(
            "Answers to a request that expired or was withdrawn. `taken`: they still make a label, "
            "so its money is kept back for good. `refused`: its money comes back at once and is "
            "asked for another event; such an answer is rejected."
        ),
    ] = "taken"
    second_opinion_share: Annotated[
        Annotated[float, Meta(ge=0, le=0.5)],
        about(
            "Share of the labels that may be second opinions: a label that looks wrong is asked "
            "again, of another annotator. 0, no such request: each costs a label, and pays only "
            "where annotators err (`headrace_label_noise_ratio` tells); 0.2 suits 10 % of errors."
        ),
    ] = 0.0
    names_annotators: Annotated[
        bool,
        about(
            "Whether a label says in the outputs who answered, as it does where second opinions "
            "are asked; `query.budget.price_by_annotator` goes by that."
        ),
    ] = False
    experts: Annotated[
        list[str],
        about(
            "Names of annotators whose answers are taken as the truth: a class that one of them "
            "names is the label, unless another of them names another one."
        ),
    ] = field(default_factory=list)
    gold_share: Annotated[
        Annotated[float, Meta(ge=0, le=0.5)],
        about(
            "Share of the settled requests that lead to a gold question: one that an expert has "
            "answered, asked again of others as if it were new, to learn who is right how often "
            "(docs/ANNOTATORS.md). 0: none. Gold questions cost answers and no labels."
        ),
    ] = 0.0
    open_max: Annotated[
        Size, about("Open requests at most; at the limit nothing is asked until one ends.")
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

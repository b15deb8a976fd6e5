"""Does a model learn better when each label counts as much as it is probable?

    python bench/soft_labels.py --data FOLDER [--stream elec2] [--seeds 5]

The tuning streams, their first 10,000 rows. One event in 20 is asked, of two of five annotators who
are right in 95, 85, 75, 65 and 55 % of their answers, and a third where the run wants one more;
`dawid_skene` at a confidence of 0.9. `hard`: each label counts one; `soft`: `learn.soft_labels`;
`random`: as `hard`, with events drawn blindly. All else is alike, the annotators' answers to an
event as well. Told is the share of the events that the model in use got right before its label, in
%, as a mean of seeds, and its difference from `hard` with the 95 % interval of the mean. The
figures of docs/ANNOTATORS.md are this script's.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

from experiments.streams import TUNING, load
from headrace import Engine
from headrace.chance import Chance
from headrace.messages import Answer, Event, LabelRequested, QuestionChanged
from headrace.messages.request_ids import base_id
from headrace.settings import parse

RIGHT = (0.95, 0.85, 0.75, 0.65, 0.55)
EVENTS_N = 10_000
PIECE_N = 20
"""Events fed at once; their labels are back before the next."""
WAYS = ("random", "hard", "soft")


def settings_of(way: str, seed: int, classes: tuple[str, ...], model: str) -> Any:
    return parse(
        {
            "seed": seed,
            "model": {"name": model},
            "schema": {"classes": list(classes)},
            "query": {
                "budget": {"share": 0.05, "reserve": 0},
                "strategy": "random" if way == "random" else "margin",
            },
            "label": {"answers_wanted": 2, "answers_max": 3, "consensus": "dawid_skene"},
            "learn": {"soft_labels": way == "soft"},
        }
    )


class Annotators:
    """Five people: who is asked, and what they say of an event, is alike in every way."""

    def __init__(self, seed: int, truths: dict[str, str], classes: tuple[str, ...]) -> None:
        self._chance = Chance(seed)
        self._truths = truths
        self._classes = classes

    def answers(self, question: LabelRequested) -> list[Answer]:
        """What as many as are wanted say, of those who have not answered yet."""
        key = base_id(question.request_id)
        order = sorted(range(len(RIGHT)), key=lambda k: self._chance.uniform(f"turn {k}", key))
        free = [k for k in order if f"a{k}" not in question.not_by][: question.answers_wanted]
        return [self._says(question, k) for k in free]

    def _says(self, question: LabelRequested, k: int) -> Answer:
        truth = self._truths[question.event_id]
        others = [name for name in self._classes if name != truth]
        label = truth
        if self._chance.uniform(f"says {k}", question.event_id) >= RIGHT[k]:
            u = self._chance.uniform(f"wrong {k}", question.event_id)
            label = others[int(u * len(others))]
        return Answer(
            request_id=question.request_id, label=label, at=question.at, annotator=f"a{k}"
        )


def played(name: str, folder: Path, way: str, seed: int, model: str) -> float:
    """The share of every fifth event that the model in use predicted right before its label, %."""
    history = load(name, folder)
    n = min(EVENTS_N, len(history.codes))
    engine = Engine(settings=settings_of(way, seed, history.classes, model))
    labels = [history.classes[code] for code in history.codes[:n].tolist()]
    columns = {key: values[:n].tolist() for key, values in history.numbers.items()}
    columns |= {key: list(values[:n]) for key, values in history.texts.items()}
    truths = {str(i): label for i, label in enumerate(labels)}
    people = Annotators(seed, truths, history.classes)
    right: list[bool] = []
    for start in range(0, n, PIECE_N):
        events = [
            Event(id=str(i), at=float(i), features={key: v[i] for key, v in columns.items()})
            for i in range(start, min(n, start + PIECE_N))
        ]
        for event in events[::5] if start >= n // 20 else ():
            said = engine.predict(event.features)
            is_right = bool(said) and max(said, key=lambda key: said[key]) == truths[event.id]
            right.append(is_right)
        outputs = engine.feed(events)
        while outputs:
            told = [o.record if isinstance(o, QuestionChanged) else o for o in outputs]
            asked = [one for one in told if isinstance(one, LabelRequested)]
            answers = [answer for one in asked for answer in people.answers(one)]
            outputs = engine.feed(answers) if answers else []
    return 100.0 * float(np.mean(right))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--stream", choices=TUNING, action="append")
    parser.add_argument("--model", default="logistic")
    parser.add_argument("--seeds", type=int, default=5)
    chosen = parser.parse_args()
    print("| stream | random | hard | soft | soft against hard |")
    print("|---|---|---|---|---|")
    for name in chosen.stream or TUNING:
        found = {
            way: np.array(
                [played(name, chosen.data, way, seed, chosen.model) for seed in range(chosen.seeds)]
            )
            for way in WAYS
        }
        gain = found["soft"] - found["hard"]
        half = t.ppf(0.975, chosen.seeds - 1) * gain.std(ddof=1) / np.sqrt(chosen.seeds)
        means = " | ".join(f"{found[way].mean():.1f}" for way in WAYS)
        print(f"| {name} | {means} | {gain.mean():+.2f} ± {half:.2f} |", flush=True)


if __name__ == "__main__":
    main()

"""What do gold questions buy: how soon is a bad annotator noticed, and how much better are labels?

    python bench/gold.py

1,000 requests of two classes, twenty open at once, to nine people who take turns at random: five of
them are good, right in 90 % of their answers, three are bad, right in 55 %, and an expert is always
right. In the second crowd of the labels three are good and five bad. What each would say of an
event is drawn before anybody is asked, so that all rows of a seed have the same crowd and luck.

Noticed: the upper end of the 95 % interval (Wilson's) of how often somebody named the label that
others named too, or the truth of a gold question, is below 80 %, looked at after each of their
answers from ten comparisons on. Told are the median of the answers that one of the bad ones gives
until then, how many of them are noticed in the run, and how many of the good ones are so wrongly.

Labels: by `dawid_skene` at 0.9, from one answer to five, and by a majority of three for comparison.
Answers are all that people gave, to gold questions and the expert's own too; "against none" is the
difference in right labels for an answer from the row without an expert, of the same seeds. Ten
seeds, 95 % intervals of the mean. The figures of docs/ANNOTATORS.md are this script's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec.structs import replace

from headrace.chance import Chance
from headrace.label.desk import Desk
from headrace.label.gold import GoldQuestions
from headrace.learn.intervals import Z, wilson
from headrace.messages import Answer, LabelRequested, LabelSettled, QuestionChanged
from headrace.settings import parse

REQUESTS_N, OPEN_N = 1_000, 20
SEEDS = range(10)
CLASSES_N = 2
GOOD_RIGHT, BAD_RIGHT, PEOPLE_N = 0.9, 0.55, 8
GOOD_N = (5, 3)
"""Good people of the eight, beside whom the expert is number eight."""

BAR, KNOWN_N = 0.8, 10
MAJORITY = {"answers_wanted": 3, "answers_max": 3}
LEARNED = {
    "answers_wanted": 1,
    "answers_max": 5,
    "consensus": "dawid_skene",
    "confidence": 0.9,
}
EXPERTS = {"experts": [f"a{PEOPLE_N}"]}
SHARES = (0.05, 0.1, 0.2)


def request(i: int, wanted_n: int) -> LabelRequested:
    return LabelRequested(
        request_id=f"r{i}", event_id=f"e{i}", at=0.0, event_at=0.0, deadline=1e9, features={},
        reason="round", strategy="random", utility=0.0, threshold=0.0, propensity=0.1,
        model_version=0, prediction={}, round_n=0, seq=i, answers_wanted=wanted_n,
    )  # fmt: skip


class Crowd:
    """One run: the desk, what people would say, and what happened."""

    def __init__(self, label: dict[str, Any], seed: int, good_n: int) -> None:
        rng = np.random.default_rng(seed)
        self.truth = rng.integers(0, CLASSES_N, REQUESTS_N)
        self.good, self.bad = range(good_n), range(good_n, PEOPLE_N)
        right = (GOOD_RIGHT,) * len(self.good) + (BAD_RIGHT,) * len(self.bad) + (1.0,)
        shape = REQUESTS_N, PEOPLE_N + 1
        wrong = (self.truth[:, None] + rng.integers(1, CLASSES_N, shape)) % CLASSES_N
        self.said = np.where(rng.random(shape) < right, self.truth[:, None], wrong)
        self.turns = np.random.default_rng([seed, 1])
        settings = parse({"label": label}).label
        gold = GoldQuestions(settings, Chance(seed))
        names = [str(k) for k in range(CLASSES_N)]
        self.desk = Desk(settings, names, CLASSES_N, gold=gold)
        self.wanted_n = settings.answers_wanted
        self.waiting: dict[str, LabelRequested] = {}
        # By event, who was asked about it: nobody is asked twice.
        self.asked: list[set[int]] = [set() for _ in range(REQUESTS_N)]
        self.given_n = [0] * (PEOPLE_N + 1)
        self.noticed_n: dict[int, int] = {}
        self.labels: dict[str, str] = {}

    def play(self) -> None:
        asked_n, now = 0, 0.0
        while True:
            while asked_n < REQUESTS_N and self.desk.open_n < OPEN_N:
                question = request(asked_n, self.wanted_n)
                self.desk.open_request(question)
                self.waiting[question.request_id] = question
                asked_n += 1
            if not self.desk.open_n:
                return
            now += 1.0
            self._answer(int(self.turns.integers(PEOPLE_N + 1)), now)

    def _answer(self, who: int, now: float) -> None:
        """Somebody answers the first question that they have not answered yet."""
        free = (q for q in self.waiting.values() if who not in self.asked[q.seq])
        question = next(free, None)
        if question is None:
            return
        self.asked[question.seq].add(who)
        self.given_n[who] += 1
        label = str(self.said[question.seq, who])
        answer = Answer(request_id=question.request_id, label=label, at=now, annotator=f"a{who}")
        outputs = self.desk.take_answer(answer, now)
        left_n = question.answers_wanted - 1
        if left_n:
            self.waiting[question.request_id] = replace(question, answers_wanted=left_n)
        else:
            del self.waiting[question.request_id]
        for output in outputs:
            if isinstance(output, LabelSettled):
                self.labels[output.request_id] = output.label
            elif isinstance(output, QuestionChanged):
                record = output.record
                if isinstance(record, LabelRequested):
                    self.waiting[record.request_id] = record
                else:
                    self.waiting.pop(record.request_id, None)
        self._notice()

    def _notice(self) -> None:
        for who in range(PEOPLE_N):
            one = self.desk.annotators.by_name.get(f"a{who}")
            n = one.compared_n + one.gold_n if one is not None else 0
            if one is None or n < KNOWN_N or who in self.noticed_n:
                continue
            _, high = wilson((one.agreed_n + one.gold_right_n) / n, n, Z)
            if high < BAR:
                self.noticed_n[who] = self.given_n[who]

    @property
    def right(self) -> float:
        """The share of requests that got the right label."""
        right_n = sum(self.labels.get(f"r{i}") == str(k) for i, k in enumerate(self.truth))
        return right_n / REQUESTS_N


def played(label: dict[str, Any], seed: int, good_n: int = GOOD_N[0]) -> Crowd:
    """What came of one run."""
    crowd = Crowd(label, seed, good_n)
    crowd.play()
    return crowd


def told(values: Any, digits: int) -> str:
    """Mean and 95 % interval of the mean."""
    spread = 2.26 * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.{digits}f} ± {spread:.{digits}f}"


def rows_of(base: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """What is compared: nobody is an expert, one is, and gold questions beside."""
    return [
        ("none", base),
        ("expert", base | EXPERTS),
        *(
            (f"expert, gold {share:.0%}", base | EXPERTS | {"gold_share": share})
            for share in SHARES
        ),
    ]


def print_noticed() -> None:
    print("| answers wanted | gold | answers until noticed | noticed | good ones, wrongly |")
    print("|---|---|---|---|---|")
    for wanted_n in (1, 2):
        base = {"answers_wanted": wanted_n, "answers_max": wanted_n + 1}
        for name, label in rows_of(base):
            runs = [played(label, seed) for seed in SEEDS]
            when = sorted(run.noticed_n.get(who, np.inf) for run in runs for who in run.bad)
            middle = float(np.median(when))
            median = f"{middle:.0f}" if np.isfinite(middle) else "never"
            found_n = int(np.isfinite(when).sum())
            wrong_n = sum(who in run.noticed_n for run in runs for who in run.good)
            print(
                f"| {wanted_n} | {name} | {median} | {found_n} of {len(when)} "
                f"| {wrong_n} of {sum(len(run.good) for run in runs)} |",
                flush=True,
            )


def print_labels() -> None:
    print("| good of eight | consensus | gold | answers per request | right, % | right per answer "
          "| against none, % |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for good_n in GOOD_N:
        for consensus, base in (("majority of three", MAJORITY), ("dawid_skene", LEARNED)):
            before = None
            for name, label in rows_of(base):
                runs = [played(label, seed, good_n) for seed in SEEDS]
                answers = np.array([sum(run.given_n) / REQUESTS_N for run in runs])
                right = np.array([run.right for run in runs])
                worth = right / answers
                before = worth if before is None else before
                more = told(100.0 * (worth / before - 1.0), 1) if name != "none" else ""
                print(
                    f"| {good_n} | {consensus} | {name} | {told(answers, 2)} "
                    f"| {told(100.0 * right, 1)} | {told(worth, 3)} | {more} |",
                    flush=True,
                )


if __name__ == "__main__":
    print_noticed()
    print()
    print_labels()

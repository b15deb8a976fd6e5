"""Labelling functions beside people: how good each rule is, the answers themselves tell.

Three answers are wanted of each request: two come from rules of thumb, each an annotator like any
other, and one from a person, who errs in every tenth. Where they do not decide it a second person
is asked. A majority believes all alike; `dawid_skene` finds out whom to believe. `headrace bridge
functions` does this beside a run.
"""

from pathlib import Path

from river import datasets

import headrace as hr
from headrace.embedding import Delivery, Functions, FunctionsSettings
from headrace.settings import BudgetSettings, LabelSettings, QuerySettings


def form(x):
    """A good one: where forms lead elsewhere."""
    return "fine" if x.empty_server_form_handler == 1 else "phishing"


def address(x):
    """What many would say, and it is hardly better than a coin."""
    return "phishing" if x.long_url == 0 else "fine"


def labels_of(consensus):
    """Whether each label is right, and how many answers people gave for them."""
    label = LabelSettings(consensus=consensus, answers_wanted=3, answers_max=4)
    query = QuerySettings(budget=BudgetSettings(share=0.4))
    engine = hr.Engine(settings=hr.Settings(seed=7, query=query, label=label))
    names = [f"{__name__}:{name}" for name in ("form", "address")]
    rules = Functions(FunctionsSettings(functions=names), Path(f"rules-{consensus}"))
    right, people_n, mark = [], 0, ""

    def person(request, name, truth):
        is_wrong = hr.Chance(7).uniform(name, request.request_id) < 0.1
        said = {"fine": "phishing", "phishing": "fine"}[truth] if is_wrong else truth
        return hr.Answer(request_id=request.request_id, label=said, at=request.at, annotator=name)

    for i, (features, is_phishing) in enumerate(datasets.Phishing().take(400)):
        truth = "phishing" if is_phishing else "fine"
        outputs = engine.feed([hr.Event(id=f"e{i}", at=float(i), features=features)])
        for request in [one for one in outputs if isinstance(one, hr.LabelRequested)]:
            rules.send([Delivery(request.request_id, request)])
            receipt = rules.receive(mark)
            mark = receipt.mark
            answers = [
                hr.Answer(
                    request_id=r.request_id, label=r.label, at=request.at, annotator=r.annotator
                )
                for r in receipt.replies
            ]
            for answer in [*answers, person(request, "ann", truth), person(request, "bob", truth)]:
                people_n += not answer.annotator.startswith("lf:")
                ends = engine.feed([answer])
                settled = [one for one in ends if isinstance(one, hr.LabelSettled)]
                right += [one.label == truth for one in settled]
                if any(isinstance(one, hr.LabelSettled | hr.LabelDisputed) for one in ends):
                    break
    rules.close()
    return right, people_n


if __name__ == "__main__":
    for consensus in ("majority", "dawid_skene"):
        right, people_n = labels_of(consensus)
        print(
            f"{consensus}: {sum(right)} of {len(right)} labels are right, for {people_n} answers "
            "of people"
        )

"""Gold questions: a bad annotator who answers alone is noticed by nothing else."""

from bench.gold import EXPERTS, played


def test_who_answers_alone_is_noticed_by_gold_questions_only() -> None:
    alone = {"answers_wanted": 1, "answers_max": 1}
    assert not any(played(alone | EXPERTS, seed).noticed_n for seed in (31, 32))
    gold = [played(alone | EXPERTS | {"gold_share": 0.2}, seed) for seed in (31, 32)]
    assert sum(who in run.noticed_n for run in gold for who in run.bad) >= 3

"""The topics as planned, without a broker; with one they are in tests/kafka."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headrace.commands.kafka.topics import show_topics
from headrace.drivers.kafka.cluster import TopicFacts
from headrace.drivers.kafka.topics import TopicState, judge_topic, plan_creation, plan_topics
from headrace.errors import BadSettings
from headrace.settings import Settings, parse

PAGE = Path(__file__).parents[3] / "docs" / "KAFKA.md"
WHOLE = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


def state_of(setting: str, found: TopicFacts | None, events_n: int = 3) -> TopicState:
    topics = plan_topics(Settings(), events_n)
    [topic] = [topic for topic in topics if topic.setting == setting]
    return judge_topic(topic, found, topics[0])


def test_the_page_has_the_topics_as_they_are_planned() -> None:
    words = {0: "P", 1: "1", 4: "`desk_partitions`", 7: "P"}
    rows = [
        (
            f"`{topic.setting}`",
            f"`{topic.name}`",
            topic.key,
            words[topic.created_n],
            "for ever" if topic.retention_s is None else "`retention_s`",
            topic.holds,
        )
        for topic in plan_topics(Settings(), 7)
    ]
    rows[0] = (*rows[0][:4], "yours", rows[0][5])
    text = PAGE.read_text(encoding="utf-8")
    table = re.findall(
        r"^\| (`\w+`) \| (`[\w.]+`) \| (.+) \| (.+) \| (.+) \| (.+) \|$", text, re.MULTILINE
    )
    assert table == rows


def test_a_request_is_kept_at_least_until_its_deadline() -> None:
    settings = parse({"kafka": {"retention_s": 59}, "label": {"deadline_s": 60}})
    with pytest.raises(BadSettings, match=r"kafka\.retention_s is 59\.0; must be at least label"):
        plan_topics(settings, 1)


def rules_of(setting: str, **kafka: int) -> dict[str, str]:
    settings = parse({"kafka": kafka})
    [topic] = [topic for topic in plan_topics(settings, 2) if topic.setting == setting]
    return plan_creation(topic, settings).rules


def test_the_training_log_is_created_to_be_kept() -> None:
    assert rules_of("training") == WHOLE
    assert rules_of("desk", retention_s=90_000) == WHOLE | {"retention.ms": "90000000"}


def test_two_brokers_must_have_a_record_where_three_hold_it() -> None:
    assert rules_of("desk", replication=3)["min.insync.replicas"] == "2"
    assert "min.insync.replicas" not in rules_of("desk", replication=2)


def test_answers_are_kept_by_the_clock_of_the_broker() -> None:
    assert rules_of("answers")["message.timestamp.type"] == "LogAppendTime"


def test_topics_take_the_largest_record_that_is_produced() -> None:
    assert int(rules_of("desk", request_bytes_max=3_000_000)["max.message.bytes"]) > 3_000_000
    assert "max.message.bytes" not in rules_of("desk")


@pytest.mark.parametrize(
    "rules", [{"retention.ms": "1000"}, {"retention.bytes": "1"}, {"cleanup.policy": "compact"}]
)
def test_a_training_log_that_loses_records_is_a_fault(rules: dict[str, str]) -> None:
    assert state_of("training", TopicFacts(1, 1, True, WHOLE)).word == "ok"
    assert len(state_of("training", TopicFacts(1, 1, True, WHOLE | rules)).faults) == 1


def test_rules_that_are_hidden_are_told_and_lived_with() -> None:
    state = state_of("training", TopicFacts(1, 1, True, None))
    assert (state.faults, state.word) == ((), "differs")
    assert "allow us DescribeConfigs" in state.notes[0]


def test_what_is_shown_for_people_and_for_programs_is_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = plan_topics(Settings(), 3)
    states = [
        judge_topic(t, TopicFacts(t.created_n or 3, 1, True, WHOLE, 1_234), topics[0])
        for t in topics
    ]
    show_topics(states)
    lines = capsys.readouterr().out.splitlines()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    show_topics(states)
    painted = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert len(lines) == 9
    assert all(cell in painted for line in lines for cell in line.split("\t"))

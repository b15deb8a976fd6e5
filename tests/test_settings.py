"""Settings: every fault at once, with its path, and what to do instead."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import BadInput, BadSettings
from headrace.settings import Settings, WatchSettings, check, load, load_for_kafka, parse
from headrace.settings.query import asks_on_arrival


def faults_of(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(BadSettings) as caught:
        parse(raw)
    return caught.value.faults


def test_nothing_set_is_the_default_and_the_default_is_well() -> None:
    assert parse({}) == Settings()
    assert check(Settings()) == []


def test_every_fault_is_told_at_once_with_its_path() -> None:
    found = faults_of(
        {
            "seed": "seven",
            "sream": "x",
            "query": {
                "strategy": 5,
                "budget": {"share": 2, "per_huor": 3},
                "uncertainty_from": "modle",
                "rounds": "often",
            },
            "learn": {"passes": 0},
            "drift": {"watch": [{"signal": "error", "detector": "adwim"}, {"detector": "psi"}]},
        }
    )
    assert found == [
        "seed is 'seven'; must be at least 0 and below 4611686018427387904",
        "sream is not a setting; did you mean stream?",
        "query.strategy is 5; must be a text",
        "query.budget.share is 2; must be above 0 and at most 1",
        "query.budget.per_huor is not a setting; did you mean per_hour?",
        "query.uncertainty_from is 'modle'; must be one of model, served, disagreement; "
        "did you mean 'model'?",
        "query.rounds is 'often'; must be a section",
        "learn.passes is 0; must be at least 1 and at most 1000",
        "drift.watch[1].signal is missing",
        "drift.watch[0].detector is 'adwim'; must be one of glr, adwin, page_hinkley, kswin, ddm, "
        "eddm, hddm_a, hddm_w, fhddm, ks, welch, psi, domain_classifier, or module:attribute; "
        "did you mean 'adwin'?",
    ]


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (
            {"query": {"budget": {}}},
            "query.budget has no limit; set share, per_hour, per_period, cap or money",
        ),
        (
            {"query": {"budget": {"money": 5.0, "price": 2.0, "price_doubt": 3.0}}},
            "query.budget.money is 5, and the dearest label costs 6: nothing would ever be asked",
        ),
        ({"query": {"rounds": {"every_n": 3_000}}}, "at most observe.window_n, which is 2000"),
        (
            {"label": {"answers_wanted": 4}},
            "label.answers_max is 3; must be at least label.answers_wanted, which is 4",
        ),
        ({"schema": {"classes": ["a", "a"]}}, "schema.classes names a class twice"),
        (
            {"drift": {"watch": [{"signal": "features", "detector": "adwin"}]}},
            "drift.watch[0] watches features with adwin; use psi",
        ),
        (
            {"drift": {"watch": [{"signal": "error", "detector": "psi"}]}},
            "drift.watch[0] watches error with psi",
        ),
        (
            {"drift": {"watch": [{"signal": "class_mix", "detector": "ks"}]}},
            "drift.watch[0] watches class_mix with ks",
        ),
        (
            {"drift": {"watch": [{"signal": "inputs", "detector": "river.drift:ADWIN"}]}},
            "drift.watch[0] watches inputs with river.drift:ADWIN; a detector of your own can",
        ),
        (
            {"drift": {"watch": [{"signal": "error", "detector": "headrace.nobody"}]}},
            "drift.watch[0].detector is 'headrace.nobody'; must be one of",
        ),
    ],
)
def test_faults_between_settings_are_told(raw: dict[str, Any], fault: str) -> None:
    [found] = faults_of(raw)
    assert fault in found


@pytest.mark.parametrize(
    ("kafka", "fault"),
    [
        ({"servers": []}, "kafka.servers is empty; name a broker as host:port"),
        ({"servers": ["127.0.0.1"]}, "kafka.servers[0] is '127.0.0.1'; must be host:port"),
        ({"servers": ["localhost:1", "localhost:99999"]}, "kafka.servers[1] is 'localhost:99999'"),
        ({"servers": ["::1:9092"]}, "kafka.servers[0] is '::1:9092'; must be host:port"),
        ({"events": "in ference"}, "kafka.events is 'in ference'; must be 1 to 249 letters"),
        ({"events": "x" * 250}, "must be 1 to 249 letters"),
        ({"events": ".."}, "kafka.events is '..'; must be"),
        ({"group": ""}, "kafka.group is ''; must be"),
        ({"desk": "headrace.answers"}, "kafka.desk is 'headrace.answers', the same topic as"),
        (
            {"drift": "headrace_desk"},
            "kafka.desk is 'headrace.desk', the same topic as kafka.drift",
        ),
        ({"servers": ["kafka:9092"]}, "kafka:9092, which is not on loopback, and kafka.tls is"),
        ({"ca_file": "ca.pem"}, "kafka.ca_file is set and kafka.tls is false"),
        ({"tls": True, "cert_file": "c.pem"}, "kafka.cert_file is set without kafka.key_file"),
        ({"tls": True, "key_file": "k.pem"}, "kafka.key_file is set without kafka.cert_file"),
        ({"tls": True, "sasl": "PLAIN"}, "kafka.sasl is 'PLAIN' without kafka.username"),
        ({"username": "us"}, "kafka.username is set and kafka.sasl is 'none'"),
        ({"password_file": "p"}, "kafka.password_file is set and kafka.sasl is 'none'"),
        (
            {"servers": ["kafka:1"], "sasl": "PLAIN", "username": "u", "allow_plaintext": True},
            "SASL without TLS would send the password",
        ),
        ({"retention_s": 0}, "kafka.retention_s is 0; must be above 0"),
        ({"sasl": "SCRAM"}, "kafka.sasl is 'SCRAM'; must be one of none, PLAIN, SCRAM-SHA-256"),
    ],
)
def test_faults_of_the_cluster_are_told(kafka: dict[str, Any], fault: str) -> None:
    [found] = faults_of({"kafka": kafka})
    assert fault in found


@pytest.mark.parametrize(
    "kafka",
    [
        {"servers": ["localhost:9092", "127.1.2.3:1", "[::1]:65535"]},
        {"servers": ["kafka-1.example.org:9092"], "allow_plaintext": True},
        {"servers": ["kafka:9092"], "tls": True, "cert_file": "c.pem", "key_file": "k.pem"},
        {"servers": ["kafka:9092"], "tls": True, "sasl": "SCRAM-SHA-512", "username": "us"},
        {"servers": ["localhost:9092"], "sasl": "PLAIN", "username": "us"},
    ],
)
def test_clusters_that_are_reached_safely_or_by_your_word_are_taken(kafka: dict[str, Any]) -> None:
    parse({"kafka": kafka})


@pytest.mark.parametrize(
    "server", ["127.0.0.1.example.org:1", "localhost.example.org:1", "0.0.0.0:1", "128.0.0.1:1"]
)
def test_what_only_looks_like_loopback_is_refused(server: str) -> None:
    assert "not on loopback" in faults_of({"kafka": {"servers": [server]}})[0]


def test_all_faults_of_cluster_and_worker_are_told_at_once() -> None:
    found = faults_of(
        {
            "kafka": {"servers": ["nowhere", "kafka:1"], "drift": "", "sasl": "PLAIN"},
            "worker": {"snapshots": ""},
            "input": {"decoder": "module.function"},
        }
    )
    assert [fault.split(" ")[0] for fault in found] == [
        "input.decoder",
        "kafka.servers[0]",
        "kafka.drift",
        "kafka.sasl",
        "kafka.sasl",
        "worker.snapshots",
    ]


@pytest.mark.parametrize("decoder", ["", "mine:read", "my.own.module:read_it"])
def test_a_decoder_is_module_and_function(decoder: str) -> None:
    assert parse({"input": {"decoder": decoder}}).input.decoder == decoder
    for wrong in ("read", "my-module:read", "mine:", ":read", "mine:a.b", "mine:read "):
        [fault] = faults_of({"input": {"decoder": wrong}})
        assert fault == f"input.decoder is {wrong!r}; must be module:function"


def test_a_round_without_a_schedule_comes_every_fifty_events() -> None:
    assert Settings().query.rounds.regular_n == 50
    assert parse({"query": {"rounds": {"every_n": 20}}}).query.rounds.regular_n == 20
    assert parse({"query": {"rounds": {"every_s": 20.0}}}).query.rounds.regular_n is None
    short = {"observe": {"window_n": 30}}
    assert parse(short).query.ask == "auto"
    [fault] = faults_of({**short, "query": {"ask": "rounds"}})
    assert fault.startswith("observe.window_n is 30 and a round is due every 50 events")


@pytest.mark.parametrize(
    ("query", "is_by_row", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"rounds": {"every_n": 50}}, True, False),
        ({"rounds": {"every_s": 50.0}}, True, False),
        ({"rounds": {"drift_n": 7}}, True, True),
        ({"ask": "rounds"}, True, False),
        ({"ask": "arrival"}, False, True),
    ],
)
def test_events_are_asked_on_arrival_unless_the_settings_or_the_strategy_want_rounds(
    query: dict[str, Any], is_by_row: bool, expected: bool
) -> None:
    assert asks_on_arrival(parse({"query": query}).query, is_by_row) is expected


@pytest.mark.parametrize(
    ("query", "start"),
    [
        ({"strategy": "hybrid"}, "query.ask is arrival and query.strategy is hybrid"),
        ({"rounds": {"every_n": 9}}, "query.rounds.every_n is 9 and query.ask is arrival"),
        ({"rounds": {"every_s": 9.0}}, "query.rounds.every_s is 9.0 and query.ask is arrival"),
    ],
)
def test_what_contradicts_asking_on_arrival_is_told(query: dict[str, Any], start: str) -> None:
    [fault] = faults_of({"query": {"ask": "arrival", **query}})
    assert fault.startswith(start)


@pytest.mark.parametrize("bad", [-1, 0, 1.5, "1", True, None, float("nan"), float("inf")])
def test_a_share_out_of_bounds_or_of_another_kind_is_refused(bad: Any) -> None:
    if bad is None:
        # TOML has no null; a program may say None where the field may be absent.
        assert "no limit" in faults_of({"query": {"budget": {"share": None}}})[0]
        return
    [fault] = faults_of({"query": {"budget": {"share": bad}}})
    assert fault.startswith("query.budget.share is ")


@pytest.mark.parametrize("seed", [0, 1, (1 << 62) - 1])
def test_seeds_up_to_62_bits_are_taken(seed: int) -> None:
    assert parse({"seed": seed}).seed == seed


def test_whole_numbers_do_for_seconds() -> None:
    assert parse({"label": {"deadline_s": 60}}).label.deadline_s == 60.0


def test_watches_replace_the_default() -> None:
    raw = {"drift": {"watch": [{"signal": "error", "detector": "ddm", "options": {"x": 1.5}}]}}
    watch = WatchSettings(signal="error", detector="ddm", options={"x": 1.5})
    assert parse(raw).drift.watch == (watch,)
    assert parse({"drift": {"watch": []}}).drift.watch == ()


def test_a_table_of_the_wrong_kind_is_told() -> None:
    found = faults_of({"schema": {"features": {"x": "number"}}})
    assert "a table whose values are one of numeric, categorical" in found[0]


# ------------------------------------------------------------------------------------ files


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(
        'seed = 3\n[query.budget]\nshare = 0.1\n[[drift.watch]]\nsignal = "error"\n'
        'detector = "ddm"\n'
    )
    found = load(path)
    assert (found.seed, found.query.budget.share, len(found.drift.watch)) == (3, 0.1, 1)
    assert found == parse(tomllib.loads(path.read_text()))


@pytest.mark.parametrize("content", [b"seed = ", b"[query\n", b"seed = 1\nseed = 2", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_theirs_to_mend(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"settings\.toml"):
        load(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="can't be read"):
        load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    "raw",
    [
        {"seed": "\ud800"},
        {"stream": "a\ud800"},
        {"schema": {"classes": ["\udfff"]}},
        {"input": {"class_names": {"1": "\ud800"}}},
    ],
)
def test_half_a_surrogate_pair_is_a_fault(raw: dict[str, object]):
    with pytest.raises(BadSettings, match="must be text that UTF-8 can write"):
        parse(raw)


def test_relative_paths_of_a_worker_go_from_the_folder_of_its_settings(tmp_path: Path) -> None:
    file = tmp_path / "headrace.toml"
    file.write_text('[kafka]\ntls = true\nca_file = "ca.pem"\ncert_file = ""\n')
    settings = load_for_kafka(file)
    assert settings.worker.snapshots == str(tmp_path / "state" / "snapshots")
    assert settings.kafka.ca_file == str(tmp_path / "ca.pem")
    assert settings.kafka.cert_file == ""
    file.write_text('[worker]\nsnapshots = "s3://bucket/here"\n')
    assert load_for_kafka(file).worker.snapshots == "s3://bucket/here"
    file.write_text('[worker]\nsnapshots = "/srv/here"\n')
    assert load_for_kafka(file).worker.snapshots == "/srv/here"
    # What a run keeps of its settings must not depend on where its file lay.
    assert load(file) == parse({"worker": {"snapshots": "/srv/here"}})

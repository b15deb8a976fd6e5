"""What requests show of an event is what `[privacy]` lets out, and nothing else of it."""

from __future__ import annotations

import hashlib
import hmac
import math
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import headrace as hr
from bridges import requests
from headrace.adapters.secret_files import load_privacy
from headrace.errors import BadSettings
from headrace.messages import (
    Answer,
    Context,
    InputRejected,
    LabelRequested,
    LabelSettled,
    Moments,
    Reason,
    RequestWithdrawn,
)
from headrace.privacy import MASK, Privacy
from headrace.settings import parse
from headrace.settings.privacy import PrivacySettings, rule_of

KEY = b"k" * 32
RULES = {"amount": "round:10", "card": "mask:4", "country": "keep", "name": "hash", "note": "mask"}
VALUES: Any = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)


def privacy_of(secret: bytes = KEY, **settings: Any) -> Privacy:
    named = {"features": RULES, "key_file": "key"} | settings
    return Privacy(PrivacySettings(**named), secret)


def request(**fields: Any) -> LabelRequested:
    features = {"amount": 37.0, "name": "Ada", "secret": "s3cret"}
    return requests.request("r1", **{"event_id": "e1", "features": features, **fields})


# --------------------------------------------------------------------------------- the rules


def test_each_rule_shows_what_it_says() -> None:
    found = privacy_of().show_features(
        {"amount": 37, "card": "4929000012345678", "country": "CH", "name": "Ada", "note": "hello"}
    )
    named = hmac.digest(KEY, b"12:feature nameAda", hashlib.sha256)[:16].hex()
    assert found == {
        "amount": 40,
        "card": f"{MASK}5678",
        "country": "CH",
        "name": named,
        "note": MASK,
    }


def test_a_text_that_is_hardly_longer_than_what_would_stay_is_masked_whole() -> None:
    shown = [
        privacy_of().show_features({"card": card})["card"] for card in ("1234", "1234567", 0.5)
    ]
    assert shown == [MASK, MASK, MASK]
    assert privacy_of().show_features({"card": 12345678}) == {"card": f"{MASK}5678"}


def test_numbers_are_rounded_to_clean_multiples_and_what_is_none_is_masked() -> None:
    privacy = Privacy(PrivacySettings(features={"x": "round:0.1", "y": "round:1000"}))
    numbers = [privacy.show_features({"x": x})["x"] for x in (0.349999, 0.25, -7, 1e300, True, "7")]
    assert numbers == [0.3, 0.2, -7, MASK, MASK, MASK]
    assert privacy.show_features({"x": math.inf, "y": 1499}) == {"x": MASK, "y": 1000}


@given(st.dictionaries(st.sampled_from([*RULES, "secret", "other"]), VALUES))
@example({"amount": 1e308, "card": -0.0, "name": "\ud800"})
def test_only_listed_features_are_shown_in_their_order_and_a_missing_one_stays_missing(
    features: dict[str, Any],
) -> None:
    found = privacy_of().show_features(features)
    assert list(found) == [name for name in features if name in RULES]
    assert all(found[name] is None for name in found if features[name] is None)
    assert privacy_of().show_features(features) == found
    for name in ("note", "name"):
        if isinstance(features.get(name), str) and len(features[name]) > 4:
            assert features[name] not in str(found[name])


@given(st.text(max_size=9), st.text(max_size=9))
def test_equal_values_hash_alike_and_others_do_not(one: str, other: str) -> None:
    hashes = [privacy_of().show_features({"name": text})["name"] for text in (one, other)]
    assert (hashes[0] == hashes[1]) == (one == other)
    assert privacy_of(b"j" * 32).show_features({"name": one})["name"] != hashes[0]
    both = Privacy(PrivacySettings(features={"a": "hash", "b": "hash"}, key_file="key"), KEY)
    shown = both.show_features({"a": one, "b": one})
    assert shown["a"] != shown["b"]


def test_key_and_event_id_are_hidden_by_setting() -> None:
    asked = request(key="customer 7")
    assert privacy_of().show_request(asked).key is None
    shown = privacy_of(key="shown").show_request(asked)
    assert (shown.key, shown.event_id) == ("customer 7", "e1")
    hidden = privacy_of(key="hashed", event_id="hashed").show_request(asked)
    assert hidden.key is not None and len({hidden.key, hidden.event_id, "e1", "customer 7"}) == 4
    withdrawn = RequestWithdrawn(request_id="r1", event_id="e1", at=1.0, reason="moot")
    again = privacy_of(event_id="hashed").show_output(withdrawn)
    assert isinstance(again, RequestWithdrawn) and again.event_id == hidden.event_id


def test_of_the_context_only_what_is_usual_of_kept_features_goes_along() -> None:
    moments = {name: Moments(3, 1.0, 2.0) for name in ("amount", "country", "secret")}
    context = Context(opinions={"ham": (0.5,)}, events_n=3, moments=moments)
    found = privacy_of().show_request(request(context=context)).context
    assert found == Context(events_n=3, moments={"country": Moments(3, 1.0, 2.0)})
    none = Privacy(PrivacySettings(features={})).show_request(request(context=context))
    assert none.context is None and none.features == {}


def test_a_rejection_of_an_event_quotes_nothing_and_one_of_an_answer_stays() -> None:
    quoting = [Reason.BAD_FEATURES, Reason.BAD_TIME, Reason.NOT_DECODED, Reason.LEFT_OUT]
    for reason in (*quoting, Reason.NOT_JSON, Reason.DUPLICATE_ID):
        rejected = InputRejected(
            reason=reason, detail="x is 's3cret'", at=0.0, input_id="e1", source="f", raw="s3cret"
        )
        shown = privacy_of(event_id="hashed").show_output(rejected)
        assert isinstance(shown, InputRejected)
        assert shown.raw == "" and shown.input_id != "e1" and shown.source == "f"
        assert (shown.detail == rejected.detail) == (reason is Reason.NOT_JSON)
    answer = InputRejected(reason="bad_answer", detail="no label", at=0.0, input_id="r1", raw="{}")
    assert privacy_of(event_id="hashed").show_output(answer) == answer


# ------------------------------------------------------------------------------ the settings


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"features": {"a": "maks"}}, "must be keep, mask.*did you mean mask"),
        ({"features": {"a": "mask:-1"}}, "must be keep, mask"),
        ({"features": {"a": "round:0"}}, "must be keep, mask"),
        ({"features": {"a": "round"}}, "must be keep, mask"),
        ({"features": {"a": "keep:3"}}, "must be keep, mask"),
        ({"features": {"a": "hash"}}, "privacy.key_file names no key"),
        ({"features": {}, "event_id": "hashed"}, "privacy.key_file names no key"),
        ({"event_id": "hashed", "key_file": "k"}, "hold where privacy.features is set"),
        ({"feature": {}}, "did you mean features"),
    ],
)
def test_bad_settings_say_what_to_do(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSettings, match=said):
        parse({"privacy": raw})


def test_a_name_that_the_schema_does_not_have_gets_the_nearest_one() -> None:
    with pytest.raises(BadSettings, match=r"names emial, .*did you mean email"):
        parse(
            {"schema": {"features": {"email": "text"}}, "privacy": {"features": {"emial": "keep"}}}
        )


@given(st.text(max_size=12) | st.from_regex(r"(mask|round|keep|hash):?[-0-9.e]{0,6}"))
def test_any_text_is_a_rule_or_none(text: str) -> None:
    rule = rule_of(text)
    settings = PrivacySettings(features={"x": text}, key_file="k")
    if rule is None:
        with pytest.raises(BadSettings):
            Privacy(settings, KEY)
        return
    for value in (1, 1.5, "long enough", True, None, -1e300):
        Privacy(settings, KEY).show_features({"x": value})


def test_the_key_is_read_from_its_file_and_shown_nowhere(tmp_path: Any) -> None:
    path = tmp_path / "key"
    path.write_text("a" * 64 + "\n")
    settings = PrivacySettings(features=RULES, key_file=str(path))
    privacy = load_privacy(settings)
    same = privacy_of(b"a" * 64)
    assert privacy.show_features({"name": "Ada"}) == same.show_features({"name": "Ada"})
    assert "aaaa" not in repr(privacy) + repr(settings)
    path.write_text("short")
    with pytest.raises(BadSettings, match="has 5 bytes; must have at least 32") as caught:
        load_privacy(settings)
    assert "short" not in str(caught.value)


def test_a_listed_feature_that_never_comes_is_told_with_the_nearest_name() -> None:
    privacy = Privacy(PrivacySettings(features={"nmae": "keep", "amount": "keep"}))
    for _ in range(19):
        privacy.show_output(request())
    assert privacy.describe_unseen() == []
    privacy.show_output(request())
    assert privacy.describe_unseen() == [
        "privacy.features names nmae, which none of 20 requests had; did you mean name?"
    ]


# -------------------------------------------------------------------------------- the engine


def engine_of(shows: dict[str, Any] | None, **options: Any) -> hr.Engine:
    raw = {"query": {"budget": {"share": 0.5}}, "seed": 3, "model": {"name": "logistic"}}
    return hr.Engine(settings=parse(raw | ({"privacy": shows} if shows else {})), **options)


EVENTS = [
    hr.Event(
        id=f"e{i}",
        at=float(i),
        features={"x": float(i % 7), "who": f"s3cret-{i}"},
        key=f"s3cret{i}",
    )
    for i in range(60)
]


def test_an_engine_shows_requests_so_and_decides_and_learns_as_without() -> None:
    open_, private = engine_of(None), engine_of({"features": {"x": "round:5"}})
    for start in range(0, 60, 20):
        theirs = open_.feed(EVENTS[start : start + 20])
        ours = private.feed(EVENTS[start : start + 20])
        assert [type(o) for o in ours] == [type(o) for o in theirs]
        assert b"s3cret" not in b"".join(
            msgspec.json.encode(o) for o in ours if isinstance(o, LabelRequested)
        )
        answers = [
            Answer(request_id=o.request_id, label=["a", "b"][o.seq % 2], at=o.at)
            for o in ours
            if isinstance(o, LabelRequested)
        ]
        assert answers
        ends = private.feed(answers)
        assert ends == open_.feed(answers)
        assert all("who" in o.features for o in ends if isinstance(o, LabelSettled))
    assert private.report == open_.report
    restored = engine_of(None)
    restored.restore(private.snapshot())
    assert restored.report.asking.requests_n == private.report.asking.requests_n


def test_batching_changes_nothing_of_what_is_shown() -> None:
    raw = {"features": {"x": "keep", "who": "mask:2"}}
    whole, parts = engine_of(raw).feed(EVENTS), engine_of(raw)
    assert [o for event in EVENTS for o in parts.feed([event])] == whole


def test_an_engine_that_is_to_hash_wants_the_key() -> None:
    raw = {"features": {"who": "hash"}, "key_file": "somewhere"}
    with pytest.raises(BadSettings, match="pass Privacy"):
        engine_of(raw)
    settings = parse({"privacy": raw}).privacy
    engine = engine_of(raw, privacy=Privacy(settings, KEY))
    shown = [o for o in engine.feed(EVENTS) if isinstance(o, LabelRequested)]
    assert {len(str(o.features["who"])) for o in shown} == {32}
    assert KEY not in engine.snapshot()


def test_run_finds_the_truth_of_an_event_whose_id_is_hashed() -> None:
    raw = {"features": {}, "event_id": "hashed", "key_file": "somewhere"}
    engine = engine_of(raw, privacy=Privacy(parse({"privacy": raw}).privacy, KEY))
    report = hr.run(engine, [(event, "ab"[i % 2]) for i, event in enumerate(EVENTS)]).report
    assert report.labels.settled_n == report.asking.requests_n > 10

"""The collector: numbers of the report, closed label sets, loopback."""

import urllib.request

from prometheus_client import CollectorRegistry, generate_latest

import headrace as hr
from headrace.adapters.prometheus import ReportCollector, folded, serve


def engine_after(events_n: int) -> hr.Engine:
    engine = hr.Engine(budget=hr.budgets.Share(0.2), classes=["no", "yes"], seed=1)
    stream = [
        hr.Event(id=str(i), at=float(i), features={f"f{j}": (i * j) % 7 for j in range(20)})
        for i in range(events_n)
    ]
    requests = [o for o in engine.feed(stream) if isinstance(o, hr.LabelRequested)]
    engine.feed(
        [
            hr.Answer(
                request_id=r.request_id, label="yes" if i % 3 else "no", at=r.at, annotator="ann"
            )
            for i, r in enumerate(requests)
        ]
    )
    return engine


def scraped(engine: hr.Engine) -> str:
    registry = CollectorRegistry()
    registry.register(ReportCollector(lambda: engine.report))
    return generate_latest(registry).decode()


def test_an_unfed_engine_has_every_counter_at_zero() -> None:
    text = scraped(hr.Engine())
    assert 'headrace_events_observed_total{stream="default"} 0.0' in text
    for reason in ("control", "cold start", "round", "drift", "ordered"):
        assert f'headrace_label_requests_total{{reason="{reason}",stream="default"}} 0.0' in text
    for end in ("settled", "disputed", "expired", "withdrawn"):
        assert f'headrace_requests_ended_total{{end="{end}",stream="default"}} 0.0' in text


def test_numbers_are_those_of_the_report() -> None:
    engine = engine_after(1000)
    report, text = engine.report, scraped(engine)
    assert f'headrace_events_observed_total{{stream="default"}} {report.events_n}.0' in text
    settled = f'headrace_requests_ended_total{{end="settled",stream="default"}} {report.settled_n}'
    assert settled in text
    assert f'{{estimate="value",stream="default"}} {report.accuracy.accuracy}' in text


def test_series_stay_below_five_hundred_and_name_no_event_and_nobody() -> None:
    text = scraped(engine_after(1200))
    series = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(series) < 500
    assert "ann" not in {part for line in series for part in line.split('"')}


def test_a_scrape_changes_nothing() -> None:
    engine = engine_after(600)
    before = engine.report
    assert scraped(engine) == scraped(engine)
    assert engine.report == before


def test_what_is_beyond_the_limit_is_added_up() -> None:
    assert folded({"a": 1, "b": 2}, 2) == [("a", 1), ("b", 2)]
    assert folded({"a": 1, "b": 2, "c": 3, "d": 4}, 1) == [("a", 1), ("other", 9)]


def test_metrics_are_served_on_loopback_and_the_port_is_given_back() -> None:
    report = engine_after(100).report
    served = serve(lambda: report)
    try:
        assert served.host == "127.0.0.1"
        with urllib.request.urlopen(served.url, timeout=5) as answer:
            assert b"headrace_events_observed_total" in answer.read()
    finally:
        served.close()
    again = serve(lambda: report, port=served.port)
    again.close()

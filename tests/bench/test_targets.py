from bench import targets


def test_every_row_of_the_table_can_be_measured(monkeypatch):
    monkeypatch.setattr(targets, "LABELS_BEFORE_SCORING_N", 5)
    rows = targets.rows_of(240)
    assert len({row.name for row in rows}) == len(rows) == 9
    for row in rows:
        row.bare()
        row.run()
        assert row.n > 0 and row.bare_n > 0 and row.aimed_at


def test_the_engine_of_a_row_asks_and_learns():
    stream = targets.Linear.of(400, 5, 1)
    engine = targets.engine_of(targets.plain_model(7), 0.1)
    batches = targets.batches_of(stream, 0, 400, 100)
    for _ in targets.Simulation(engine, targets.hr.oracles.Delayed(20.0)).play(batches):
        pass
    assert engine.report.events.observed_n == 400
    assert 10 <= engine.report.labels.settled_n <= 40

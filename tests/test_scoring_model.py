"""A model alone says what the engine it is of says."""

from __future__ import annotations

import numpy as np
import pytest

from headrace import Engine
from headrace.errors import BadInput, BadSettings
from headrace.learn.scoring_model import KIND, ScoringModel
from headrace.settings import parse
from headrace.state import frozen
from worlds import events_of, reference


def model_of(engine: Engine) -> ScoringModel:
    trainer = engine.trainer
    return ScoringModel.of(
        engine.settings, engine.schema, trainer.champion.learner, trainer.champion.calibration
    )


@pytest.mark.parametrize("name", ["committee", "logistic", "forest"])
def test_a_model_that_was_written_and_read_gives_the_bits_of_the_engine(name: str) -> None:
    run = reference(5, name, 120)
    engine = Engine(settings=run.settings)
    engine.feed(run.inputs)
    assert engine.trainer.champion.learned_n > 5
    thawed = ScoringModel.thaw(model_of(engine).freeze(), engine.settings.model.name)
    features = [dict(event.features) for event in events_of(5, 30)] + [{"unheard of": 3.0}, {}]
    said = thawed.predict_many(features)
    assert thawed.classes == list(engine.schema.classes)
    for row, one in zip(said, features, strict=True):
        assert dict(zip(thawed.classes, row.tolist(), strict=True)) == engine.predict(one)


def test_features_are_read_as_the_stream_reads_them() -> None:
    settings = parse({"columns": {"numeric": ["x"]}, "schema": {"classes": ["a", "b"]}})
    engine = Engine(settings=settings)
    model = ScoringModel.thaw(model_of(engine).freeze(), "committee")
    assert model.predict_many([{"x": "1.5"}]).shape == (1, 2)
    assert model.predict_many([]).shape == (0, 2)
    with pytest.raises(BadInput):
        model.predict_many([{"x": object()}])


def test_what_is_no_model_is_refused() -> None:
    blob = frozen.freeze({"no": "model"}, kind=KIND)
    with pytest.raises(BadInput, match="not that of a model"):
        ScoringModel.thaw(blob, "committee")
    with pytest.raises(BadInput, match="of kind 'engine'"):
        ScoringModel.thaw(Engine(seed=1).snapshot(), "committee")
    whole = model_of(Engine(seed=1, classes=["a", "b"])).freeze()
    with pytest.raises(BadInput, match="damaged"):
        ScoringModel.thaw(whole[:-1] + bytes([whole[-1] ^ 1]), "committee")
    with pytest.raises(BadSettings, match="no_such_module"):
        ScoringModel.thaw(whole, "no_such_module:model")
    assert np.isfinite(ScoringModel.thaw(whole, "committee").predict_many([{"x": 1}])).all()

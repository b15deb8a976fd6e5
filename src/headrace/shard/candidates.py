"""Converts a shard's events for the query side: pools for strategies, candidates for requests."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BadSettings
from ..messages import Context
from ..observe.admission import Run
from ..observe.moments import RunningMoments
from ..observe.originals import unpack_features
from ..observe.schema import Schema
from ..observe.seen import widen_classes
from ..observe.window import Columns
from ..query.asking import Asking
from ..query.pool import ASKED_MAX, Labelled, Pool, Sample, compare_predictions
from ..query.requests import Candidate
from ..query.ruled import RuledArrivals
from ..query.strategies import Strategy, declared_needs, needs_of
from .model_view import ModelView
from .watched import Watched


def pool_of(
    events: Columns,
    schema: Schema,
    uncertainty_from: str,
    wanted_n: int,
    anew: NDArray[np.float64] | None = None,
    **more: Any,
) -> Pool:
    """Return the pool of a round whose candidates are these events.

    - `uncertainty_from`: "model", "served" or "disagreement", whose probabilities the pool has.
    - `wanted_n`: how many labels the round wants.
    - `anew`: newer probabilities of the model, shape (n, k); None: those from arrival.
    - `more`: what some strategies also read, by the names of `pool.PARTS`.
    """
    model = events.probabilities if anew is None else anew
    return Pool(
        ids=events.ids.tolist(),
        keys=events.keys,
        at=events.at,
        X=events.rows,
        is_category=_are_categories(schema, events.rows.shape[1]),
        probabilities=select_probabilities(
            model, events.served, len(schema.classes), uncertainty_from
        ),
        wanted_n=wanted_n,
        **more,
    )


def pool_of_arriving(
    run: Run,
    start: int,
    probabilities: NDArray[np.float64],
    schema: Schema,
    uncertainty_from: str,
    *,
    members_of: ModelView | None = None,
) -> Pool:
    """Return a pool of the n events of the run from `start` on, `probabilities` having n rows.

    With `members_of` it also has the probabilities by each member of that model.
    """
    part, members = slice(start, start + len(probabilities)), None
    if members_of is not None:
        original_of = partial(run.originals.features, start)
        members = members_of.members(run.rows[part], run.dated[part], original_of)
    return Pool(
        ids=run.ids[part].tolist(),
        keys=run.keys[part],
        at=run.at[part],
        X=run.rows[part],
        is_category=_are_categories(schema, run.rows.shape[1]),
        probabilities=select_probabilities(
            probabilities, run.served[part], len(schema.classes), uncertainty_from
        ),
        wanted_n=1,
        members=members,
    )


def read_more(
    strategy: Strategy | None,
    events: Columns,
    watched: Watched,
    asking: Asking,
    anew: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Return the parts of a pool of these events that the strategy needs beside the candidates.

    They are named as in `pool.PARTS`; parts that are not needed are not built. `anew` are newer
    probabilities of the model, shape (n, k). Without a strategy the result is empty.
    """
    needs = () if strategy is None else needs_of(strategy)
    model, parts = watched.model, dict[str, Any]()
    if "members" in needs:
        parts["members"] = model.members(
            events.rows, events.at, lambda i: unpack_features(events.originals[i])
        )
    if "asked" in needs or "labelled" in needs:
        past = watched.past()
        before = past.take(np.flatnonzero(past.is_asked))
        if "asked" in needs:
            parts["asked"] = before.rows[-ASKED_MAX:]
        # With "disagreement" the classes are whether two models agree; no label says that.
        if "labelled" in needs and asking.settings.uncertainty_from != "disagreement":
            codes = asking.labels.find_codes(before.keys, watched.schema.code_of)
            latest = np.flatnonzero(codes >= 0)[-ASKED_MAX:]
            parts["labelled"] = Labelled(before.rows[latest], codes[latest])
    if "reservoir" in needs:
        sample = watched.reservoir.view()
        # Sorted, so that the order does not depend on events that have left the sample.
        order = np.argsort(sample.keys, kind="stable")
        parts["reservoir"] = Sample(sample.rows[order], sample.keys[order])
    if "costs" in needs:
        model_says = widen_classes(
            _without_failures(events.probabilities if anew is None else anew),
            len(watched.schema.classes),
        )
        parts["costs"] = asking.budget.prices(model_says, watched.schema.classes)
    return parts


def check_members(asking: Asking, model: ModelView) -> None:
    """Raise `BadSettings` where the strategy or the rule needs members and the model has none."""
    if model.has_members:
        return
    users: list[tuple[str, str, object]] = [("strategy", asking.strategy_name, asking.strategy)]
    if isinstance(asking.arrivals, RuledArrivals):
        users.append(("arrival.rule", asking.arrivals.name, asking.arrivals.rule))
    for setting, name, function in users:
        if "members" in (declared_needs(function) or ()):
            raise BadSettings(
                f"query.{setting} is {name}, which goes by how far the members of a model disagree,"
                " and the model has none; set model.name to committee or to one of river's "
                "ensembles"
            )


def _are_categories(schema: Schema, width: int) -> NDArray[np.bool_]:
    return np.array([kind == "categorical" for kind in schema.kinds[:width]], dtype=np.bool_)


def select_probabilities(
    model: NDArray[np.float64], served: NDArray[np.float64], k: int, uncertainty_from: str
) -> NDArray[np.float64]:
    """Return the probabilities that uncertainty is read from, over k classes, row by row.

    Where the log has no probabilities, "served" uses the model's. "disagreement" then compares the
    model with one that gives the class which it predicts itself probability 1.
    """
    model = widen_classes(_without_failures(model), k)
    if uncertainty_from == "model":
        return model
    wide = widen_classes(served, k)
    known = ~np.isnan(wide[:, :1]) if served.shape[1] else np.zeros((len(model), 1), np.bool_)
    if uncertainty_from == "served":
        return np.where(known, np.nan_to_num(wide, nan=0.0), model)
    sure = np.zeros_like(model)
    if k:
        sure[np.arange(len(model)), model.argmax(axis=1)] = 1.0
    return compare_predictions(model, np.where(known, np.nan_to_num(wide, nan=0.0), sure))


def _without_failures(model: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace rows of NaN, on which the model failed, by sure ones: a failure earns no label."""
    if not model.shape[1]:
        return model
    has_failed = np.isnan(model[:, 0])
    if np.logical_or.reduce(has_failed):
        model = np.where(has_failed[:, np.newaxis], 0.0, model)
        model[has_failed, 0] = 1.0
    return model


def candidate_of(
    events: Columns, row: int, schema: Schema, context: Context | None = None
) -> Candidate:
    """Return one event with all that its request shows; `context` is sent back with the label."""
    (key, served_model), probabilities = (
        events.origins[row] or (None, None),
        events.probabilities[row],
    )
    served, original = None, unpack_features(events.originals[row])
    if events.served.shape[1] and not np.isnan(events.served[row, 0]):
        # A class that was unknown when the event arrived has probability 0. All that are known now
        # are named: how wide the columns are depends on which events came in one batch.
        named = widen_classes(events.served[row : row + 1], len(schema.classes))
        served = _name_classes(np.nan_to_num(named[0], nan=0.0), schema)
    return Candidate(
        seq=int(events.seq[row]),
        id=str(events.ids[row]),
        at=float(events.at[row]),
        features=schema.features(events.rows[row]) if original is None else original,
        # A guess is NaN before the first label was learned: then there is no prediction.
        prediction={} if np.isnan(events.guess[row]) else _name_classes(probabilities, schema),
        served=served,
        served_model=served_model,
        key=key,
        context=context,
    )


def candidate_with_context(  # noqa: PLR0917 - what a request says is from all of these
    events: Columns,
    row: int,
    schema: Schema,
    model: ModelView,
    moments: RunningMoments,
    now: float,
) -> Candidate:
    """Return one event as `candidate_of` does, with the context if the model wants one.

    The context takes the `moments` since the last request, which then begin anew; the event is
    dated at most `now`, seconds.
    """
    context = None
    if model.wants_context:
        events_n, taken = moments.pop_moments(schema.names, schema.kinds)
        event = events.rows[row], min(float(events.at[row]), now), events_n, taken
        context = model.context(*event, unpack_features(events.originals[row]))
    return candidate_of(events, row, schema, context)


def _name_classes(probabilities: NDArray[np.float64], schema: Schema) -> dict[str, float]:
    # A row of zeros is from before any class was known; on a row of NaN the model failed.
    plain = probabilities.tolist()
    is_prediction = any(plain) and plain[0] == plain[0]
    return dict(zip(schema.classes, plain, strict=False)) if is_prediction else {}

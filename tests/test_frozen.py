"""Freezing and thawing: what comes back, and what must never be run on the way."""

import codecs
import contextlib
import copy
import copyreg
import functools
import hashlib
import importlib
import importlib.metadata
import inspect
import io
import logging
import marshal
import operator
import os
import pickle
import pkgutil
import random
import runpy
import shutil
import subprocess
import sys
import types
import urllib.request
import warnings
import webbrowser
from collections import Counter, OrderedDict, defaultdict, deque
from functools import partial

import msgspec
import numpy as np
import pytest
import river
from hypothesis import given, settings
from hypothesis import strategies as st
from river import (
    bandit,
    base,
    compose,
    datasets,
    drift,
    feature_extraction,
    feature_selection,
    forest,
    imblearn,
    linear_model,
    metrics,
    model_selection,
    naive_bayes,
    neighbors,
    optim,
    preprocessing,
    stats,
    stream,
    tree,
    utils,
)

import headrace
from headrace import admitted, frozen
from headrace.admitted import OWN
from headrace.errors import BadInput, BadSettings
from headrace.frozen import allowed_by, freeze, thaw
from headrace.label.ledger import Ledger
from headrace.messages import Event, EventBatch
from headrace.settings import Settings

NOT_CORE = ("adapters", "shells", "testing", "cli", "frozen", "errors")
NOT_STATE = ("datasets", "stream", "evaluate", "checks", "compat", "api", "time_series", "reco")


def rewrapped(body: bytes, kind: str = "t", **changes: object) -> bytes:
    """A blob with this body and a header that fits it: what a forger who can sign would make."""
    blob = freeze(None, kind=kind)
    size = int.from_bytes(blob[8:12], "big")
    header = msgspec.json.decode(blob[12 : 12 + size])
    header |= {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    text = msgspec.json.encode(header | changes)
    return blob[:8] + len(text).to_bytes(4, "big") + text + body


def read(body: bytes, allowed: frozenset[str] = frozenset()) -> object:
    return thaw(rewrapped(body), kind="t", allowed=allowed)


def again(state: object, allowed: frozenset[str] = frozenset()) -> object:
    return thaw(freeze(state, kind="t"), kind="t", allowed=allowed)


# ------------------------------------------------------------------------------- round trips


def test_plain_and_numpy_states_come_back_equal():
    draws = random.Random(3)
    state = {
        "numbers": np.arange(6.0).reshape(2, 3),
        "strided": np.arange(6)[::2],
        "texts": np.array(["a", "bc"]),
        "objects": np.array([None, "x"], dtype=object),
        "days": np.array(["2024-01-02"], dtype="M8[D]"),
        "big": np.array([1, 2], dtype=">i4"),
        "scalar": np.float32(1.5),
        "sets": [{1, 2}, frozenset({3}), bytearray(b"x"), 1 << 90],
        "counts": Counter("aab"),
        "ordered": OrderedDict(a=1),
        "nested": defaultdict(partial(defaultdict, int), {"a": defaultdict(int, b=1)}),
        "queue": deque([1, 2], maxlen=3),
        "draws": draws,
    }
    back = again(state)
    assert isinstance(back, dict)
    assert back["draws"].random() == draws.random()
    for name in ("numbers", "strided", "texts", "objects", "days", "big"):
        assert back[name].dtype == state[name].dtype
        assert np.array_equal(back[name], state[name])
    for name in ("scalar", "sets", "counts", "ordered", "nested", "queue"):
        assert back[name] == state[name]
    assert back["nested"]["new"]["new"] == 0
    assert back["queue"].maxlen == 3


def test_reading_a_dtype_leaves_that_of_the_program_alone():
    again(np.array([1.0], dtype=">f8"))
    assert np.dtype("f8").byteorder == "="


def test_messages_and_settings_come_back_equal():
    event = Event(id="a", at=1.0, features={"x": 1.0})
    assert again([event, Settings()]) == [event, Settings()]
    batch = EventBatch(["a"], np.zeros(1), ("x",), ("x",), np.ones((1, 1)), {})
    back = again(batch)
    assert isinstance(back, EventBatch)
    assert back.row(0) == batch.row(0)


def rows(kind: str, n: int):
    """Numbers of two or three classes, the same with categories and drift, or texts."""
    draws = random.Random(1)
    for i in range(n):
        y = i % (3 if kind == "three" else 2)
        x = {f"f{j}": abs(draws.gauss(3 + (y if j < 2 else 0), 1)) for j in range(3)}
        if kind == "mixed":
            x |= {"colour": draws.choice("rgb" if y else "by"), "is_s": draws.random() < 0.5}
            x["f0"] += 4 * (i > n // 2 and y)
        if kind == "text":
            yield draws.choice(["hello world", "good bye now", "a b c"]), bool(y)
        else:
            yield x, ("abc"[y] if kind == "three" else bool(y))


def learn(model, kind: str, n: int) -> None:
    for x, y in rows(kind, n):
        if isinstance(model, base.DriftDetector | base.BinaryDriftDetector):
            model.update(bool(y) if isinstance(model, base.BinaryDriftDetector) else x["f0"])
        elif isinstance(model, base.Classifier) or getattr(model, "_supervised", False):
            model.learn_one(x, y)
            if isinstance(model, base.Classifier):
                model.predict_one(x)
        elif hasattr(model, "learn_one"):
            model.learn_one(x)
            if hasattr(model, "transform_one"):
                model.transform_one(x)
        elif hasattr(model, "update"):
            model.update(x["f0"])


def river_classes() -> dict[str, type]:
    found = {}
    for part in pkgutil.walk_packages(river.__path__, "river."):
        words = part.name.split(".")
        if any(w in NOT_STATE or w.startswith("test_") or w in ("envs", "conftest") for w in words):
            continue
        try:
            module = importlib.import_module(part.name)
        except ImportError:  # An optional dependency of river.
            continue
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if issubclass(cls, base.Base) and not inspect.isabstract(cls):
                found[frozen._pair_of(cls)] = cls
    return {pair: cls for pair, cls in sorted(found.items()) if is_part_of_a_classifier(cls)}


def is_part_of_a_classifier(cls: type) -> bool:
    if issubclass(cls, base.Regressor | base.MultiLabelClassifier | base.MultiTargetRegressor):
        return False
    if cls.__module__.startswith(("river.base", "river.anomaly.base")):
        return False
    kinds = (base.Classifier, base.Transformer, base.SupervisedTransformer, base.Clusterer)
    parts = ("optim", "stats", "drift", "tree.splitter", "proba", "anomaly", "neighbors", "utils")
    return issubclass(cls, kinds) or cls.__module__.startswith(tuple(f"river.{p}" for p in parts))


def by_hand() -> list[object]:
    """What cannot be built from `_unit_test_params`, and options that change what is pickled."""
    logistic = linear_model.LogisticRegression
    text = feature_extraction.BagOfWords
    mean = stats.Mean()
    rolling = [stats.RollingMax, stats.RollingMin, stats.RollingMode, stats.RollingIQR]
    rolling += [stats.RollingAbsMax, stats.RollingPeakToPeak]
    weights = {False: 0.5, True: 0.5}
    return [
        preprocessing.StandardScaler() | logistic(optim.Adam(optim.schedulers.InverseScaling(0.1))),
        logistic(optim.SGD(optim.schedulers.Optimal(optim.losses.Log()))),
        logistic(optim.SGD(0.1), initializer=optim.initializers.Constant(1.0)),
        compose.Select("f0") + (compose.Prefixer("a_") | preprocessing.MinMaxScaler()),
        (compose.Select("f0") | compose.Renamer({"f0": "b"})) * compose.Suffixer("_z"),
        compose.Grouper(preprocessing.StandardScaler(), by=["f1"]),
        feature_extraction.Agg("f0", "f1", mean) + feature_extraction.TargetAgg("f1", mean),
        feature_selection.PoissonInclusion(0.5) | logistic(),
        imblearn.RandomOverSampler(logistic(), weights, seed=1),
        imblearn.RandomUnderSampler(logistic(), weights, seed=1),
        imblearn.RandomSampler(logistic(), weights, seed=1),
        model_selection.SuccessiveHalvingClassifier(
            [logistic(), naive_bayes.GaussianNB()], metrics.F1(), budget=100
        ),
        model_selection.BanditClassifier(
            [logistic(), naive_bayes.GaussianNB()], metrics.Accuracy(), bandit.UCB(1.0, seed=1)
        ),
        neighbors.KNNClassifier(
            engine=neighbors.LazySearch(20, dist_func=partial(utils.math.minkowski_distance, p=3))
        ),
        text(on="f0", lowercase=True, ngram_range=(1, 2), stop_words={"a"}),
        drift.DriftRetrainingClassifier(naive_bayes.GaussianNB(), drift.binary.DDM()),
        [
            tree.HoeffdingAdaptiveTreeClassifier(seed=1, splitter=s, split_criterion=c)
            for s in (tree.splitter.ExhaustiveSplitter(), tree.splitter.HistogramSplitter())
            for c in ("gini", "hellinger")
        ],
        [linear_model.PAClassifier(mode=mode) for mode in (0, 1, 2)],
        [drift.PageHinkley(mode=mode) for mode in ("up", "down", "both")],
        [r(window_size=5) for r in rolling],
        [stats.RollingQuantile(0.5, 5), stats.AutoCorr(1), stats.BayesianMean(0.0, 1.0)],
        utils.Rolling(stats.Mean(), 3),
        optim.initializers.Normal(seed=1),
    ]


@pytest.mark.filterwarnings("ignore")
def test_all_of_river_that_a_classifier_may_hold_is_admitted():
    missing: dict[str, str] = {}

    def freezes(model: object, pair: str) -> None:
        try:
            again(model)
        except BadInput as error:
            missing.setdefault(str(error), pair)

    fresh = [("by hand", model) for model in by_hand()]
    for pair, cls in river_classes().items():
        try:
            fresh += [(pair, cls(**arguments)) for arguments in cls._unit_test_params()]
        except (TypeError, AttributeError, RuntimeError):  # Stands in `by_hand`.
            continue
    assert len(fresh) > 150
    for pair, model in fresh:
        freezes(model, pair)
        # A Hoeffding tree splits after 200 rows at first; nothing else needs as many.
        rows_n = 400 if "river.tree." in pair or "river.forest." in pair else 30
        for kind in ("three", "mixed", "text"):
            learned = copy.deepcopy(model)
            for one in learned if isinstance(learned, list) else [learned]:
                # It may not take such rows; what it has learnt until then still counts.
                with contextlib.suppress(Exception):
                    learn(one, kind, rows_n if kind != "text" else 10)
            freezes(learned, pair)
    assert not missing


def test_a_thawed_model_goes_on_as_the_one_that_was_frozen():
    for model in (tree.HoeffdingAdaptiveTreeClassifier(seed=1), forest.ARFClassifier(3, seed=1)):
        learn(model, "mixed", 300)
        twin = again(model)
        learn(model, "mixed", 100)
        learn(twin, "mixed", 100)
        for x, _ in rows("mixed", 50):
            assert model.predict_proba_one(x) == twin.predict_proba_one(x)


# ------------------------------------------------------------------------------------ lists


def test_every_listed_name_leads_to_what_it_says():
    for pair in admitted.CLASSES:
        cls = frozen._resolve(pair)
        assert isinstance(cls, type), pair
        assert frozen._pair_of(cls) == pair
    for pair in (*admitted.CALLED, *admitted.NAMED):
        assert callable(frozen._resolve(pair)), pair
    for pair, names in admitted.METHODS.items():
        assert all(callable(getattr(frozen._resolve(pair), name)) for name in names), pair


def test_every_class_of_the_core_is_listed():
    missing = []
    for part in pkgutil.walk_packages(headrace.__path__, "headrace."):
        if part.name.split(".")[1] in NOT_CORE:
            continue
        for thing in vars(importlib.import_module(part.name)).values():
            if not isinstance(thing, type) or thing.__module__ != part.name:
                continue
            if not (getattr(thing, "_is_protocol", False) or issubclass(thing, BaseException)):
                missing += [pair for pair in [frozen._pair_of(thing)] if pair not in OWN]
    assert not missing, "add these to headrace.admitted.OWN"


# ------------------------------------------------------------------------------- the envelope


@pytest.mark.parametrize(
    ("blob", "text"),
    [
        (b"", "not a state"),
        (b"\x80\x05N.", "not a state"),
        (freeze(1, kind="t")[:20], "header"),
        (freeze(1, kind="t")[:-1], "damaged"),
        (freeze(1, kind="t") + b"x", "damaged"),
        (freeze(1, kind="u"), "kind 'u'"),
        (rewrapped(b"N.", format=99), "format 99"),
        (rewrapped(b"N.", river="0.25.3"), "river 0.25.3.*rebuilt from the log"),
        (rewrapped(b"N.", numpy="1.26.0"), "numpy 1.26.0.*rebuilt from the log"),
        (rewrapped(b"N.", headrace="99.0.0"), "headrace 99.0.0.*rebuilt from the log"),
        (rewrapped(b""), "can't be read"),
        (rewrapped(b"."), "can't be read"),
        (rewrapped(b"\x80\x05"), "can't be read"),
    ],
)
def test_a_blob_that_is_not_ours_is_refused_with_the_reason(blob: bytes, text: str):
    with pytest.raises(BadInput, match=text):
        thaw(blob, kind="t")


def test_another_patch_or_python_is_no_reason_to_refuse():
    assert thaw(rewrapped(b"K\x01.", python="3.99.0"), kind="t") == 1
    river = ".".join([*importlib.metadata.version("river").split(".")[:2], "999"])
    assert thaw(rewrapped(b"K\x01.", river=river), kind="t") == 1


def test_what_cannot_be_pickled_is_said_at_once():
    with pytest.raises(BadSettings, match="top level of a module"):
        freeze(lambda: 1, kind="t")


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_damage_anywhere_in_a_pickle_never_raises_anything_else(data: st.DataObject):
    body = bytearray(pickle.dumps({"a": np.arange(3.0), "b": [Event(id="a", at=1.0, features={})]}))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadInput), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read(bytes(body))


# ------------------------------------------------------------------------------------ gadgets


class Call:
    """Pickles as a call of anything."""

    def __init__(self, called: object, *arguments: object) -> None:
        self.call = (called, arguments)

    def __reduce__(self):
        return self.call


def dumped(state: object) -> bytes:
    """A pickle without a memo, so that two can be joined; no first and last step."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, 5)
    pickler.fast = True
    pickler.dump(state)
    return file.getvalue()[2:-1]


class Filled:
    """Pickles as an object or class that is filled with a state."""

    def __init__(self, target: object, state: object) -> None:
        self.target, self.state = target, state

    def pickled(self) -> bytes:
        return b"\x80\x05" + dumped(self.target) + dumped(self.state) + pickle.BUILD + pickle.STOP


def name(module: str, attribute: str) -> bytes:
    texts = (module.encode(), attribute.encode())
    return b"".join(b"\x8c" + bytes([len(t)]) + t for t in texts) + pickle.STACK_GLOBAL


def called(module: str, attribute: str, *arguments: object) -> bytes:
    call = name(module, attribute) + dumped(arguments) + pickle.REDUCE
    return b"\x80\x05" + call + pickle.STOP


@pytest.mark.parametrize(
    "called_thing",
    [
        eval, exec, compile, open, __import__, setattr, vars, globals, type, map,
        os.system, os.popen, os.remove, subprocess.Popen, subprocess.run, shutil.rmtree,
        importlib.import_module, runpy.run_path, pickle.loads, marshal.loads, codecs.decode,
        operator.attrgetter, operator.methodcaller,
        np.load, np.fromfile, np.memmap, np.save, np.genfromtxt, np.vectorize,
        functools.reduce, copyreg._reconstructor, urllib.request.urlopen, webbrowser.open,
        datasets.base.RemoteDataset, datasets.HTTP, stream.iter_csv, logging.FileHandler,
    ],
    ids=lambda thing: thing.__qualname__,
)  # fmt: skip
def test_nothing_dangerous_is_admitted(called_thing):
    for state in (Call(called_thing, "x"), called_thing, partial(called_thing, "x")):
        with pytest.raises(BadInput, match="not admitted"):
            again(state)
        with pytest.raises(BadInput):
            again([defaultdict(partial(called_thing)), state])


@pytest.mark.parametrize(
    ("module", "attribute"),
    [
        ("river.datasets.base", "os.system"),
        ("headrace.frozen", "importlib.import_module"),
        ("headrace.messages", "msgspec.json.decode"),
        ("headrace.messages", "math.sys.modules"),
        ("river.naive_bayes.gaussian", "GaussianNB._make_gaussian.__globals__"),
        ("river.naive_bayes.gaussian", "GaussianNB.__init__"),
        ("collections", "Counter.fromkeys"),
        ("collections", "_sys"),
        ("numpy", "dtype.__class__"),
        ("numpy:dtype", ""),
        ("", "numpy:dtype"),
        ("functools", "partial.__new__"),
        ("copy", "copyreg.pickle"),
        ("headrace.messages", "Event.__init__"),
    ],
)
def test_no_walk_along_dots_leads_out(module: str, attribute: str, tmp_path):
    with pytest.raises(BadInput):
        read(called(module, attribute, f"touch {tmp_path}/ran"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "state",
    [
        Call(getattr, Event, "__init__"),
        Call(getattr, utils.math.minkowski_distance, "__globals__"),
        Call(getattr, random.Random(1), "__class__"),
        Call(getattr, "a", "format"),
        Call(getattr, preprocessing.StandardScaler(), "learn_one"),
        Call(msgspec._utils.rebuild, dict, {"a": 1}),
        Call(msgspec._utils.rebuild, copy.deepcopy, {"x": 1}),
        Call(copy.deepcopy, [1]),
        Call(np.array, [1]),
        Call(np.ones, 3),
        Call(partial(copy.deepcopy, [1])),
        Call(partial(Event)),
        Call(preprocessing.StandardScaler),
        Call(Ledger, "x"),
        Call(iter, dict, 1),
        Call(np.random._pickle.__randomstate_ctor, "x", Ledger),
        Call(np.dtype, "O,O", False, True),
        Call(np.dtype, [("a", "O")], False, True),
        Call(utils.math.minkowski_distance, {}, {}, 2),
    ],
)  # fmt: skip
def test_what_is_admitted_is_not_for_that_reason_called(state: object):
    with pytest.raises(BadInput):
        again(state)


def test_classes_and_functions_of_the_program_are_never_changed():
    before = Ledger.__init__, utils.math.minkowski_distance.__defaults__
    for target in (Ledger, preprocessing.StandardScaler, utils.math.minkowski_distance, dict):
        for state in ((None, {"__init__": 1, "__defaults__": (1,)}), {"marked": 1}):
            with pytest.raises(BadInput, match="may not change"):
                read(Filled(target, state).pickled())
    with pytest.raises(BadInput, match="may not change"):
        read(Filled(random.Random(1).gauss, {"marked": 1}).pickled())
    assert (Ledger.__init__, utils.math.minkowski_distance.__defaults__) == before


@pytest.mark.parametrize("step", ["build", "append", "appends", "add", "set", "new"])
def test_attributes_of_a_forged_object_are_never_called(step: str):
    # An instance attribute called `__setstate__`, `append`... is a call of what it holds.
    forged = preprocessing.StandardScaler()
    names = ("__setstate__", "append", "extend", "add", "__setitem__", "__new__")
    forged.__dict__.update(dict.fromkeys(names, partial(copy.deepcopy)))
    steps = {
        "build": b"}\x8c\x06countsK\x01s" + pickle.BUILD,
        "append": b"K\x01" + pickle.APPEND,
        "appends": b"(K\x01" + pickle.APPENDS,
        "add": b"(K\x01" + pickle.ADDITEMS,
        "set": b"K\x01K\x01" + pickle.SETITEM,
        "new": b"K\x01\x85" + pickle.NEWOBJ,
    }
    body = pickle.dumps(forged, 5)[:-1] + steps[step] + pickle.STOP
    if step == "build":  # Filled as its class says.
        assert read(body).counts == 1
    else:
        with pytest.raises(BadInput, match=r"may not (fill|make)"):
            read(body)


@pytest.mark.parametrize(
    "body",
    [
        b"(S'touch x'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch x'\no.",
        b"cos\nsystem\n(S'touch x'\ntR.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"(ccollections\nCounter\nS'x'\no.",
        b"Pthing\n.",
        b"\x80\x05K\x01Q.",
        b"\x80\x05\x82\x01.",
        b"\x80\x05\x97.",
    ],
)
def test_old_protocols_and_outside_objects_are_refused(body: bytes):
    with pytest.raises(BadInput):
        read(body)


def test_a_dtype_of_objects_that_denies_it_is_refused():
    for text, state in [
        ("O8", (3, "|", None, None, None, -1, -1, 0)),
        ("f8", (3, "<", None, None, None, -1, -1, 63)),
        ("V8", (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)),
    ]:
        dtype = called("numpy", "dtype", text, False, True)[:-1]
        body = dtype + dumped(state) + pickle.BUILD + pickle.STOP
        with pytest.raises(BadInput, match=r"plain dtypes|not admitted"):
            read(body)


# ------------------------------------------------------------------------------ the user's own


class Leaf:
    """Part of a user's model, made only while it learns."""


class Mine(base.Classifier):
    """A user's model."""

    def __init__(self) -> None:
        self.leaves: list[Leaf] = []

    def learn_one(self, x, y) -> None:
        self.leaves.append(Leaf())

    def predict_proba_one(self, x):
        return {True: 1.0}


class Dialled(Mine):
    """A user's model whose pickle calls."""

    def __reduce__(self):
        return (Dialled, ())


def a_function(x):
    return x


@pytest.fixture
def user_module(monkeypatch):
    """The classes above as those of a module that can be imported by name."""
    module = types.ModuleType("some_team.model")
    for thing in (Leaf, Mine, Dialled, a_function):
        monkeypatch.setattr(thing, "__module__", module.__name__)
        setattr(module, thing.__name__, thing)
    module.Popen, module.system = subprocess.Popen, os.system
    monkeypatch.setitem(sys.modules, "some_team", types.ModuleType("some_team"))
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.usefixtures("user_module")
def test_a_model_of_the_users_own_comes_back():
    model = preprocessing.StandardScaler() | Mine()
    allowed = allowed_by(model)
    assert {"some_team.model:Mine", "some_team.model:Leaf"} <= allowed
    learn(model, "three", 3)
    assert len(again(model, allowed)["Mine"].leaves) == 3
    with pytest.raises(BadInput, match="not admitted"):
        again(model)


@pytest.mark.usefixtures("user_module")
def test_the_users_model_opens_no_door_to_what_its_module_imports():
    assert not any("subprocess" in pair or "system" in pair for pair in allowed_by(Mine()))
    everything = allowed_by(Mine()) | {
        "some_team.model:Popen", "some_team.model:system", "subprocess:Popen", "os:system",
        "posix:system", "builtins:eval", "numpy:memmap", "some_team.model:a_function",
    }  # fmt: skip
    for pair in sorted(everything - allowed_by(Mine())):
        with pytest.raises(BadInput):
            read(called(*pair.split(":"), "x"), everything)
    with pytest.raises(BadInput, match="may not call"):
        read(called("some_team.model", "Mine"), everything)


@pytest.mark.usefixtures("user_module")
@pytest.mark.parametrize(
    ("model", "text"),
    [
        (Dialled, "may not call some_team.model:Dialled"),
        (lambda: [Mine(), os.system], "belongs to a library"),
        (lambda: [Mine(), subprocess.Popen], "belongs to a library"),
        (lambda: Mine().learn_one, "not admitted"),
        (lambda: compose.FuncTransformer(lambda x: x), "can't be pickled"),
    ],
)
def test_a_model_that_could_not_be_restored_is_said_before_it_runs(model, text: str):
    with pytest.raises(BadSettings, match=text):
        allowed_by(model())

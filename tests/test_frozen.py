"""Freezing and thawing: what comes back, what is refused, and what damage may do."""

import codecs
import contextlib
import copy
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
from headrace.adapters.snapshots.store import Keys, SnapshotStore
from headrace.errors import BadInput, BadSettings
from headrace.messages import Event
from headrace.settings import Settings
from headrace.state.codec import encode_state
from headrace.state.frozen import allowed_by, freeze, thaw
from headrace.state.model_pickle import pickle_object

NOT_STATE = ("datasets", "stream", "evaluate", "checks", "compat", "api", "time_series", "reco")


# One foreign object alone: what a model is in a state.
ONE = msgspec.msgpack.encode([[], [17, 0]])


def rewrapped(models: bytes, data: bytes = ONE, **changes: object) -> bytes:
    """A blob of these parts and a header that fits them: what a forger who can sign would make."""
    blob, body = freeze(None, kind="t"), data + models
    size = int.from_bytes(blob[8:12], "big")
    header = msgspec.json.decode(blob[12 : 12 + size])
    header |= {"length": len(body), "sha256": hashlib.sha256(body).hexdigest(), "data": len(data)}
    text = msgspec.json.encode(header | changes)
    return blob[:8] + len(text).to_bytes(4, "big") + text + body


def read(body: bytes, allowed: frozenset[str] = frozenset(), **changes: object) -> object:
    """The state whose only part is the object of this pickle."""
    return thaw(
        rewrapped(body[:-1] + pickle.TUPLE1 + body[-1:], **changes), kind="t", allowed=allowed
    )


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
                found[f"{cls.__module__}:{cls.__qualname__}"] = cls
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
def test_all_of_river_that_a_classifier_may_hold_comes_back():
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


# ------------------------------------------------------------------------------- the envelope


@pytest.mark.parametrize(
    ("blob", "text"),
    [
        (b"", "not a state"),
        (b"\x80\x05N.", "not a state"),
        (freeze(1, kind="t")[:20], "header"),
        (freeze(1, kind="t").replace(b'"t"', b'"\xff"'), "header of the state can't be read"),
        (freeze(1, kind="t")[:-1], "damaged"),
        (freeze(1, kind="t") + b"x", "damaged"),
        (freeze(1, kind="u"), "kind 'u'"),
        (rewrapped(b"N.", format=99), "format 99"),
        (rewrapped(b"N.", river="0.25.3"), "river 0.25.3.*rebuilt from the log"),
        (rewrapped(b"N.", numpy="1.26.0"), "numpy 1.26.0.*rebuilt from the log"),
        (rewrapped(b""), "can't be read"),
        (rewrapped(b"", b"\xc1"), "can't be read"),
        (rewrapped(b"", b""), "more data than there is"),
        (rewrapped(b"."), "can't be read"),
        (rewrapped(b"\x80\x05"), "can't be read"),
    ],
)
def test_a_blob_that_is_not_ours_is_refused_with_the_reason(blob: bytes, text: str):
    with pytest.raises(BadInput, match=text):
        thaw(blob, kind="t")


def test_the_format_before_is_refused_with_what_happens_then():
    blob, body = freeze(None, kind="t"), pickle.dumps({"schema": 1})
    size = int.from_bytes(blob[8:12], "big")
    header = msgspec.json.decode(blob[12 : 12 + size]) | {"format": 1, "length": len(body)}
    del header["data"]
    text = msgspec.json.encode(header)
    with pytest.raises(BadInput, match="format 1, not 2; the state is rebuilt from the log"):
        thaw(blob[:8] + len(text).to_bytes(4, "big") + text + body, kind="t")


def test_our_own_state_is_read_whatever_versions_wrote_it():
    data, foreign = encode_state([1, Settings()])
    assert not foreign
    old = rewrapped(b"", data, river="0.1.0", numpy="1.0.0", headrace="99.0.0")
    assert thaw(old, kind="t") == [1, Settings()]


def test_another_patch_or_python_is_no_reason_to_refuse():
    assert read(b"K\x01.", python="3.99.0") == 1
    river = ".".join([*importlib.metadata.version("river").split(".")[:2], "999"])
    assert read(b"K\x01.", river=river) == 1


def test_what_cannot_be_pickled_is_said_at_once():
    with pytest.raises(BadSettings, match="top level of a module"):
        freeze(lambda: 1, kind="t")
    with pytest.raises(BadSettings, match="can't be part of a state"):
        freeze(np.zeros(1, dtype=[("a", "f8")]), kind="t")


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_damage_anywhere_in_data_or_pickle_never_raises_anything_else(data: st.DataObject):
    state = [{"a": np.arange(3.0), "b": Event(id="a", at=1.0, features={})}, stats.Mean()]
    own, foreign = encode_state(state)
    models = pickle_object(foreign)
    is_own = data.draw(st.booleans())
    body = bytearray(own if is_own else models)
    # Of a pickle, `r` may name a place so far off that the list of places takes all memory.
    byte = data.draw(st.integers(0, 255).filter(lambda byte: is_own or byte != ord("r")))
    body[data.draw(st.integers(0, len(body) - 1))] = byte
    parts = (models, bytes(body)) if is_own else (bytes(body), own)
    with contextlib.suppress(BadInput), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        thaw(rewrapped(*parts), kind="t")


# ---------------------------------------------------------------------------- passed over


class Recursing:
    """Restores for ever."""

    def __setstate__(self, state: object) -> None:
        self.__setstate__(state)


class Panicking:
    """Raises what a panic in river's Rust raises, which is no `Exception`."""

    def __setstate__(self, state: object) -> None:
        raise type("PanicException", (BaseException,), {})("called `Result::unwrap()`")


class Stopping:
    """Stands for a signal that comes while a state is read."""

    def __setstate__(self, state: object) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("kind", "text"), [(Recursing, "recursion"), (Panicking, r"Result::unwrap\(\)")]
)
def test_whatever_a_model_raises_while_it_is_read_is_bad_input(kind: type, text: str):
    broken = kind()
    broken.part = 1
    with pytest.raises(BadInput, match=f"can't be read.*{text}"):
        again(broken, frozenset({__name__.partition(".")[0]}))


def test_a_panic_of_rivers_own_is_bad_input():
    made = called("river._river_rust.stats", "RsQuantile")[:-1]
    with pytest.raises(BadInput, match="can't be read") as caught:
        read(made + dumped(b"\xff" * 9) + pickle.BUILD + pickle.STOP)
    assert type(caught.value.__cause__).__name__ == "PanicException"


def test_a_signal_is_not_swallowed():
    broken = Stopping()
    broken.part = 1
    with pytest.raises(KeyboardInterrupt):
        again(broken, frozenset({__name__.partition(".")[0]}))


def test_a_newer_snapshot_that_cannot_be_read_is_passed_over_for_the_one_before(tmp_path):
    store = SnapshotStore(tmp_path, stream="s", keys=Keys(b"k" * 32), kept_n=5)
    store.write(1, freeze(["good"], kind="t"), {})
    store.write(2, rewrapped(called("os", "system", f"touch {tmp_path}/ran")), {})
    store.write(3, rewrapped(b"", b"\x92\x90" + b"\x92\x01" * 9999 + b"\xc0"), {})
    store.write(4, rewrapped(b"", b"\x92\x90\x92\x63\x01"), {})
    states: list[object] = []
    found = store.read_latest(lambda snapshot: states.append(thaw(snapshot.blob, kind="t")))
    assert found is not None
    assert (found.seq, states) == (1, [["good"]])
    assert [sentence[:24] for sentence in store.refused] == [
        f"snapshot-{seq:012d}.hr" for seq in (4, 3, 2)
    ]
    assert all("can't be read" in sentence for sentence in store.refused)
    assert not (tmp_path / "ran").exists()


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
        functools.reduce, urllib.request.urlopen, webbrowser.open,
        datasets.base.RemoteDataset, datasets.HTTP, stream.iter_csv, logging.FileHandler,
        SnapshotStore, headrace.run,
    ],
    ids=lambda thing: thing.__qualname__,
)  # fmt: skip
def test_what_reads_writes_or_runs_is_not_admitted(called_thing):
    for state in (Call(called_thing, "x"), called_thing, partial(called_thing, "x")):
        with pytest.raises(BadInput, match="not admitted"):
            again(state)


@pytest.mark.parametrize(
    ("module", "attribute"),
    [
        ("river.datasets.base", "os.system"),
        ("river.utils.math", "math.sqrt"),
        ("river.compose.func", "typing.sys.modules"),
        ("headrace.state.frozen", "importlib.import_module"),
        ("headrace.messages", "msgspec.json.decode"),
        ("headrace.messages", "math.sys.modules"),
        ("headrace.__main__", "main"),
        ("river.naive_bayes.gaussian", "GaussianNB._make_gaussian.__globals__"),
        ("river.naive_bayes.gaussian", "GaussianNB.__subclasses__"),
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
    with pytest.raises(BadInput, match=r"not admitted|no class or function|can't be read"):
        read(called(module, attribute, f"touch {tmp_path}/ran"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "state",
    [
        Call(getattr, Event, "__init__"),
        Call(getattr, utils.math.minkowski_distance, "__globals__"),
        Call(getattr, random.Random(1), "__class__"),
        Call(getattr, random.Random(1), "seed"),
        Call(getattr, "a", "format"),
        Call(getattr, partial(int), "func"),
    ],
)  # fmt: skip
def test_only_methods_of_models_are_had_by_name(state: object):
    with pytest.raises(BadInput, match=r"no method of a model|not admitted"):
        again(state)


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


class Called(Mine):
    """A user's model whose pickle calls."""

    def __reduce__(self):
        return (Called, ())


class Unreadable(Mine):
    """A user's model that can be written but not read."""

    def __reduce__(self):
        return (Unreadable, (1, 2))


def a_function(x):
    return x


@pytest.fixture
def user_module(monkeypatch):
    """The classes above as those of two modules of a package that can be imported by name."""
    package, module = types.ModuleType("some_team"), types.ModuleType("some_team.model")
    leaves = types.ModuleType("some_team.leaves")
    for thing in (Leaf, Mine, Called, Unreadable, a_function):
        home = leaves if thing is Leaf else module
        monkeypatch.setattr(thing, "__module__", home.__name__)
        setattr(home, thing.__name__, thing)
    module.Popen, module.system = subprocess.Popen, os.system
    for known in (package, module, leaves):
        monkeypatch.setitem(sys.modules, known.__name__, known)


@pytest.mark.usefixtures("user_module")
@pytest.mark.parametrize("own", [Mine, Called])
def test_a_model_of_the_users_own_comes_back(own: type):
    model = preprocessing.StandardScaler() | compose.FuncTransformer(a_function) | own()
    allowed = allowed_by(model)
    assert allowed == {"some_team"}
    learn(model, "three", 3)
    back = again(model, allowed)
    assert len(back[own.__name__].leaves) == (3 if own is Mine else 0)
    assert back["a_function"].func is a_function
    with pytest.raises(BadInput, match=r"some_team.* is not admitted"):
        again(model)


@pytest.mark.usefixtures("user_module")
def test_the_users_model_opens_no_door_to_what_its_module_imports():
    for pair in ("some_team.model:Popen", "some_team.model:system", "subprocess:Popen"):
        with pytest.raises(BadInput, match=r"defined there|not admitted"):
            read(called(*pair.split(":"), "x"), allowed_by(Mine()))


@pytest.mark.usefixtures("user_module")
@pytest.mark.parametrize(
    ("model", "text"),
    [
        (Unreadable, "can't be restored from a snapshot"),
        (lambda: [Mine(), os.system], "posix is not admitted"),
        (lambda: [Mine(), subprocess.Popen], "subprocess is not admitted"),
        (lambda: compose.FuncTransformer(lambda x: x), "can't be pickled"),
    ],
)
def test_a_model_that_could_not_be_restored_is_said_before_it_runs(model, text: str):
    with pytest.raises(BadSettings, match=text):
        allowed_by(model())

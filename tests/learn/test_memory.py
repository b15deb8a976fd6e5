import math
import pickle

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.chance import Chance
from headrace.learn.memory import Example, Memory
from headrace.settings import LearnSettings

ROW = np.array([1.0, np.nan])


def memory_of(n, adopt_labels_n=1, half_life_s=None, seed=7):
    chosen = LearnSettings(memory_n=n, adopt_labels_n=adopt_labels_n, half_life_s=half_life_s)
    return Memory(chosen, Chance(seed))


def filled(memory, n, control_every=None):
    for i in range(n):
        is_control = bool(control_every and i % control_every == 0)
        memory.add(Example(f"e{i}", float(i), ROW, i % 2, is_control, True))
    return memory


def test_a_wild_time_does_not_stretch_the_memory():
    memory = memory_of(100)
    assert memory.limit_time(-5e9, 40.0) == -5e9
    filled(memory, 41)
    assert memory.limit_time(4e9, 50.0) == 50.0
    for n in range(10):
        at = memory.limit_time(-5e9, 50.0)
        assert -8 * 50.0 <= at < 0.0
        memory.add(Example(f"wild{n}", at, ROW, 0, False, True))
    assert [memory.limit_time(at, 50.0) for at in (0.0, 3.0, 49.0)] == [0.0, 3.0, 49.0]


def ids(memory):
    return [example.id for example in memory.examples()]


@settings(max_examples=50, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["add", "add", "add", "remove", "revise"]),
            st.integers(0, 15),
            st.integers(0, 9),
            st.booleans(),
        ),
        max_size=60,
    ),
    n=st.integers(1, 6),
    adopt_labels_n=st.integers(1, 8),
    half_life_s=st.sampled_from([None, 3.0]),
)
def test_the_memory_never_exceeds_its_limit_and_keeps_the_latest_control_examples(
    steps, n, adopt_labels_n, half_life_s
):
    memory = memory_of(n, adopt_labels_n, half_life_s)
    for step, number, at, is_control in steps:
        held = set(ids(memory))
        before = {e.id: (e.at, e.id) for e in memory.examples() if e.is_control}
        if step == "add":
            memory.add(Example(str(number), float(at), ROW, 0, is_control, None))
            before.pop(str(number), None)
            if is_control:
                before[str(number)] = (float(at), str(number))
        elif step == "remove":
            assert memory.remove(str(number)) is (str(number) in held)
            before.pop(str(number), None)
        else:
            assert memory.revise(str(number), 1) is (str(number) in held)
        latest = sorted(before, key=before.get)[-min(adopt_labels_n, n) :]
        assert [e.id for e in memory.latest_control(min(adopt_labels_n, n))] == latest
        order = [(example.at, example.id) for example in memory.examples()]
        assert order == sorted(order)
        assert len(memory) == len(order) <= n


def test_without_a_half_life_the_oldest_leaves():
    assert ids(filled(memory_of(3), 9)) == ["e6", "e7", "e8"]


def test_an_example_older_than_all_the_memory_holds_leaves_at_once():
    memory = filled(memory_of(3), 3)
    memory.add(Example("late", -5.0, ROW, 0, False, None))
    assert ids(memory) == ["e0", "e1", "e2"]


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(30)), half_life_s=st.sampled_from([None, 4.0, 1e9, 1e-3]))
def test_the_sample_does_not_depend_on_the_order_of_arrival(order, half_life_s):
    memory, sorted_memory = memory_of(8, 1, half_life_s), memory_of(8, 1, half_life_s)
    for i in order:
        memory.add(Example(f"e{i}", 1.7e9 + i, ROW, 0, False, None))
    for i in range(30):
        sorted_memory.add(Example(f"e{i}", 1.7e9 + i, ROW, 0, False, None))
    assert ids(memory) == ids(sorted_memory)


def test_an_example_one_half_life_older_is_kept_half_as_often():
    # Many more examples than places: then the chance to be kept is proportional to the weight.
    kept = np.zeros(2)
    for seed in range(40):
        memory = memory_of(20, 1, 100.0, seed)
        for i in range(400):
            memory.add(Example(f"e{i}", 100.0 * (i % 2), ROW, i % 2, False, None))
        for example in memory.examples():
            kept[example.code] += 1
    share = kept[1] / kept.sum()
    assert abs(share - 2 / 3) < 3 * math.sqrt(2 / 9 / kept.sum())


def test_control_examples_stay_only_while_they_are_the_latest():
    memory = filled(memory_of(4, adopt_labels_n=2), 30, control_every=10)
    assert [e.id for e in memory.examples() if e.is_control] == ["e10", "e20"]
    assert ids(memory)[-2:] == ["e28", "e29"]


def test_more_control_examples_than_places_leave_the_latest():
    assert ids(filled(memory_of(3, adopt_labels_n=50), 9, control_every=1)) == ["e6", "e7", "e8"]


def test_a_correction_forgets_whether_the_champion_was_right():
    memory = filled(memory_of(3), 1, control_every=1)
    assert memory.revise("e0", 0)
    assert memory.examples()[0].champion_right is True
    assert memory.revise("e0", 1)
    example = memory.examples()[0]
    assert (example.code, example.champion_right, example.is_control) == (1, None, True)
    assert not memory.revise("unknown", 1)


def test_a_row_is_kept_as_it_was():
    memory, row = memory_of(3), ROW.copy()
    memory.add(Example("a", 0.0, row, 0, False, None))
    row[0] = 9.0
    assert memory.examples()[0].row[0] == 1.0


def test_adding_an_id_again_replaces_the_example():
    memory = filled(memory_of(3), 2)
    memory.add(Example("e0", 5.0, ROW, 1, True, False))
    assert ids(memory) == ["e1", "e0"]
    assert [example.id for example in memory.latest_control(9)] == ["e0"]


def test_a_restored_memory_goes_on_alike():
    memory = filled(memory_of(5, 2, 4.0), 12, control_every=3)
    twin = pickle.loads(pickle.dumps(memory))
    for one in (memory, twin):
        for i in range(12, 30):
            one.add(Example(f"e{i}", float(i), ROW, 0, False, None))
    assert ids(memory) == ids(twin)

"""What holds for all tests: cases of hypothesis, threads of libraries, garbage, long cases.

In CI hypothesis tries the same cases each time: a red run then speaks of the change under test.
Elsewhere it looks for new ones.
"""

import gc
import os
from collections.abc import Generator

import pytest
from hypothesis import settings

EXAMPLES_N = 50
settings.register_profile("here", max_examples=EXAMPLES_N, deadline=None)
settings.register_profile("ci", max_examples=EXAMPLES_N, deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# Set before numpy and scikit-learn are imported, and for programs that tests start. Workers of
# pytest share the cores already, and threads that wait for others take a core each for nothing.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Modules and tests live as long as the process: no collection of garbage walks them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make all cases long but `default_n` of each test that is marked so."""
    for cases in cases_by_test(items):
        n = cases[0].get_closest_marker("default_n").args[0]
        kept = {i * len(cases) // n for i in range(n)}
        for i, case in enumerate(cases):
            if i not in kept:
                case.add_marker(pytest.mark.long)


def cases_by_test(items: list[pytest.Item]) -> list[list[pytest.Item]]:
    """The cases of each test with a `default_n`, without those that are long by themselves."""
    found: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("default_n") and not item.get_closest_marker("long"):
            found.setdefault(item.nodeid.partition("[")[0], []).append(item)
    return list(found.values())

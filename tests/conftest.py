"""What holds for all tests: cases of hypothesis, threads of libraries, garbage of imports.

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

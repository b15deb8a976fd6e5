"""What holds for all tests: how hypothesis looks for cases, and how many threads libraries take.

In CI hypothesis tries the same cases each time: a red run then speaks of the change under test.
Elsewhere it looks for new ones.
"""

import os

from hypothesis import settings

EXAMPLES_N = 50
settings.register_profile("here", max_examples=EXAMPLES_N, deadline=None)
settings.register_profile("ci", max_examples=EXAMPLES_N, deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# Set before numpy and scikit-learn are imported, and for programs that tests start. Workers of
# pytest share the cores already, and threads that wait for others take a core each for nothing.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

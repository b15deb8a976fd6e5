"""The runs behind docs/RESULTS.md: `python -m bench.experiments`, or `make experiments`."""

import os

# One thread each, before numpy is imported: runs share the cores, and sums keep their order.
for library in ("OPENBLAS", "OMP", "MKL", "BLIS", "VECLIB_MAXIMUM"):
    os.environ[f"{library}_NUM_THREADS"] = "1"

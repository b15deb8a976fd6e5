"""Speed and memory: of the engine, of peers beside it, and how both grow.

`python -m bench.speed peers` prints one table, `python -m bench.speed page` writes
docs/BENCHMARKS.md.
"""

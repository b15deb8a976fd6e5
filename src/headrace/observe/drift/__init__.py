"""Has the world drifted? Signals, detectors, windowed tests, and the state machine over them all.

`monitor` makes the level; `watches` is one signal with what watches it; `lines` says how high a
line has to be; `glr`, `detectors`, `comparisons`, `marginals` and `classifier` are what watches;
`windows` runs the tests of one check; `causes` names features, classes and since when.
"""

from .detectors import Detector, DriftLevel, own_detectors
from .monitor import DriftMonitor
from .windows import SHARES_MAX

__all__ = ["SHARES_MAX", "Detector", "DriftLevel", "DriftMonitor", "own_detectors"]

"""Has the world drifted? Signals, detectors, windowed tests, and the state machine over them all.

`monitor` decides the drift level; a watch, in `watches`, is one signal with its detector; `lines`
computes the height of lines; `glr`, `detectors`, `comparisons`, `marginals` and `classifier` are
the detectors; `windows` runs the tests of one check; `causes` finds features, classes and times.
"""

from .detectors import Detector, DriftLevel, own_detectors
from .monitor import DriftMonitor
from .windows import SHARES_MAX

__all__ = ["SHARES_MAX", "Detector", "DriftLevel", "DriftMonitor", "own_detectors"]

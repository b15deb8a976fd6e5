"""What a program needs besides the engine inside it: storing, retraining, decoding, labels.

docs/EMBEDDING.md shows how they work together.
"""

from .adapters.metrics.prometheus import registry_of
from .adapters.snapshots.store import SnapshotStore
from .bridges.bridge import Delivery
from .bridges.files import Files
from .bridges.formats import FilesSettings
from .bridges.functions import Functions, FunctionsSettings
from .learn.retrain import finish_job
from .observe.decode import Decoder

__all__ = [
    "Decoder",
    "Delivery",
    "Files",
    "FilesSettings",
    "Functions",
    "FunctionsSettings",
    "SnapshotStore",
    "finish_job",
    "registry_of",
]

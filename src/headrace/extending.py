"""The types that code of your own meets: bridges, file formats, choosers of others, workflows.

docs/EXTENDING.md has an example of each; `headrace.testing` checks what you wrote.
"""

from .bridges.bridge import Bridge, Delivery, Receipt, Reply
from .bridges.formats import FilesSettings, Format, Given, Reading
from .observe.drift import Detector
from .plugins import Choosing
from .query.schedule import Situation, Workflow

__all__ = [
    "Bridge",
    "Choosing",
    "Delivery",
    "Detector",
    "FilesSettings",
    "Format",
    "Given",
    "Reading",
    "Receipt",
    "Reply",
    "Situation",
    "Workflow",
]

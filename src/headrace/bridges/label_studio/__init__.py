"""The bridge to Label Studio: requests become tasks with predictions, annotations become replies.

Plain HTTP against its public API, as docs/LABEL-STUDIO.md describes; the poll is the truth, and no
webhook is needed.
"""

from .bridge import LabelStudio

__all__ = ["LabelStudio"]

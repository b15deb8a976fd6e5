"""The bridge to Label Studio: requests become tasks with predictions, annotations become replies.

It makes HTTP calls of the public API, as docs/LABEL-STUDIO.md describes. It polls for annotations;
a webhook is not needed, and only makes it poll earlier.
"""

from .bridge import LabelStudio

__all__ = ["LabelStudio"]

"""What requests show of their events, and how what is held of them is erased."""

from .showing import MASK, REQUESTS_MIN, WHOLE, Privacy

__all__ = ["MASK", "REQUESTS_MIN", "WHOLE", "Privacy"]

"""How many labels may be asked now: a share of the events, a rate in time, a total.

A budget has accounts in whole billionths of a label, so that sums are exact whatever the batching.
An account earns with events or with time, pays when a label is asked, and is paid back when a
request has ended without a label and none can come any more. `asking` decides what to spend it on.
"""

from .budget import Budget, from_settings
from .plain import Account, Cap, PerHour, Share
from .reserve import Reserve

__all__ = ["Account", "Budget", "Cap", "PerHour", "Reserve", "Share", "from_settings"]

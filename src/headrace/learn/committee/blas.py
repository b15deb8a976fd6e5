"""One BLAS thread: on several, sums are cut by the number of cores, and so are their last bits."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    # Finding the libraries takes milliseconds, setting their threads microseconds.
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """Within it numpy and scipy multiply and solve in one thread of this process.

    >>> with one_blas_thread():
    ...     pass
    """
    context: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return context

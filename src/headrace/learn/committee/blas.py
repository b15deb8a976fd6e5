"""One thread: on several, sums are cut by the number of cores, and so are their last bits."""

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


def one_thread() -> AbstractContextManager[Any]:
    """The same, and one OpenMP thread as well, with which scikit-learn fits and asks its trees.

    Rows are few here: to start and to await other threads takes longer than the work itself.

    >>> with one_thread():
    ...     pass
    """
    context: AbstractContextManager[Any] = _controller().limit(limits=1)
    return context

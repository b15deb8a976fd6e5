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


@cache
def _libraries() -> list[Any]:
    return [one for one in _controller().lib_controllers if one.user_api == "blas"]


class one_blas_thread:  # noqa: N801 - it is used as a function
    """Within it numpy and scipy multiply and solve in one thread of this process.

    >>> with one_blas_thread():
    ...     pass
    """

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        # As the controller's `limit` does it, which looks at each library several times.
        self._before = [(library, library.get_num_threads()) for library in _libraries()]
        for library, threads_n in self._before:
            if threads_n != 1:
                library.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        for library, threads_n in self._before:
            if threads_n != 1:
                library.set_num_threads(threads_n)


def one_thread() -> AbstractContextManager[Any]:
    """The same, and one OpenMP thread as well, with which scikit-learn fits and asks its trees.

    Rows are few here: to start and to await other threads takes longer than the work itself.

    >>> with one_thread():
    ...     pass
    """
    context: AbstractContextManager[Any] = _controller().limit(limits=1)
    return context

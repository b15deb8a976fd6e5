"""Computing in one thread: on several, the number of cores splits the sums and changes bits."""

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
    return [library for library in _controller().lib_controllers if library.user_api == "blas"]


class one_blas_thread:  # noqa: N801 - it is used as a function
    """A context in which numpy and scipy multiply and solve in one thread of this process.

    >>> with one_blas_thread():
    ...     pass
    """

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        # The same as the controller's `limit`, which is slower: it reads each library repeatedly.
        self._before = [(library, library.get_num_threads()) for library in _libraries()]
        for library, threads_n in self._before:
            if threads_n != 1:
                library.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        for library, threads_n in self._before:
            if threads_n != 1:
                library.set_num_threads(threads_n)


def one_thread() -> AbstractContextManager[Any]:
    """A context with one BLAS thread and one OpenMP thread, which scikit-learn uses for trees.

    With few rows, starting and awaiting other threads takes longer than the work itself.

    >>> with one_thread():
    ...     pass
    """
    context: AbstractContextManager[Any] = _controller().limit(limits=1)
    return context

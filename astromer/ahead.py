"""One thing made while another is used."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

__all__ = ["map_ahead", "read_ahead"]

_S = TypeVar("_S")
_T = TypeVar("_T")
_END: Final = object()


def map_ahead(
    function: Callable[[_S], _T], items: Iterable[_S], num_threads: int = 2
) -> Iterator[_T]:
    """Yield what a function makes of items, the next ones in threads meanwhile.

    Parameters
    ----------
    function : callable
        Called by several threads at a time.
    items : iterable
        Used by this thread. Of a single item no thread is started.
    num_threads : int
        One more result than this is held at a time.

    Yields
    ------
    result : object
        In order. What the function raises, or making an item, is raised in its place.
    """
    failure: Exception | None = None

    def until_failure() -> Iterator[_S]:
        nonlocal failure
        try:
            yield from items
        except Exception as error:  # noqa: BLE001 - raised below, after earlier results
            failure = error

    rest = until_failure()
    first = list(itertools.islice(rest, 2))
    if len(first) < 2:
        yield from map(function, first)
    else:
        pending: collections.deque[Future[_T]] = collections.deque()
        with ThreadPoolExecutor(num_threads, "ahead") as threads:
            for item in itertools.chain(first, rest):
                pending.append(threads.submit(function, item))
                if len(pending) > num_threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
    if failure is not None:
        raise failure


def read_ahead(items: Iterable[_T]) -> Iterator[_T]:
    """Yield items, the next of which a thread makes meanwhile.

    Parameters
    ----------
    items : iterable
        Used by that thread alone; two of its items are held at a time.

    Yields
    ------
    item : object
        In order. What making one raises is raised in its place.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1, "ahead") as reader:
        pending: Future[Any] = reader.submit(next, iterator, _END)
        while (item := pending.result()) is not _END:
            pending = reader.submit(next, iterator, _END)
            yield item

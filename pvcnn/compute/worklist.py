"""Which submission is next: those that came back, then the queue, of which one index is drawn at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator


class Worklist:
    """Indices that wait for a worker. Some shun nodes that did badly by them."""

    def __init__(self, indices: Iterable[int]) -> None:
        self._source: Iterator[int] = iter(indices)
        self._front: deque[int] = deque()
        self._shunned: dict[int, set[str]] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        if not self._front:
            self._front.extend(index for index in [next(self._source, None)] if index is not None)
        return not self._front

    def draw(self, node: str) -> int | None:
        """Takes out the first index that a worker on `node` may be given, or None if there is none."""
        for index in self._front:
            if node not in self._shunned.get(index, ()):
                self._front.remove(index)
                return index
        return next(self._source, None)

    def put_back(self, index: int, shun: str | None = None) -> None:
        """To be drawn before all others, but not by a worker on the node `shun`."""
        self._front.appendleft(index)
        if shun is not None:
            self._shunned.setdefault(index, set()).add(shun)

    def reconsider(self, elsewhere: Callable[[set[str]], bool]) -> list[int]:
        """Indices that shun nodes with nobody elsewhere: from now on they shun none.

        elsewhere: whether some worker is, or soon will be, on a node that is not among those given.
        """
        hopeless = [
            index for index in self._front if self._shunned.get(index) and not elsewhere(self._shunned[index])
        ]
        for index in hopeless:
            del self._shunned[index]
        return hopeless

    def remove(self, index: int) -> None:
        """Takes out an index that was put back."""
        self._front.remove(index)

    def rest(self) -> Iterator[int]:
        """Takes out all that is left."""
        while not self.empty:
            yield self._front.popleft()

"""What a circle says of everything, counted piece by piece: one verdict takes a moment, those of four thousand works two minutes.

Whoever asks about a whole circle waits a few seconds; what is not counted by then is counted behind the answer, which says how much that
is. Between two pieces others have their turn, so that a single question is answered at once all the while. Called by `services.circles`,
`services.questions` and `services.pruning`.
"""

from __future__ import annotations

import trio

from p2pnode.core.ids import CircleId, QuestionId
from p2pnode.core.verdict import CircleView
from p2pnode.errors import P2pnodeError
from p2pnode.services.views import Views

PIECE = 8
"""Questions counted in one turn: a quarter of a second in a circle of two thousand members with five stewards."""
PATIENCE_S = 5.0
"""Seconds for which an answer about a whole circle waits for what is not counted yet."""


class Counting:
    """The counting of one node's circles. Before it was started everything is counted while the caller waits."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._nursery: trio.Nursery | None = None
        self._running: dict[CircleId, trio.Event] = {}

    def start(self, nursery: trio.Nursery) -> None:
        """Count in `nursery` from now on."""
        self._nursery = nursery

    async def counted(self, circle: CircleId) -> CircleView:
        """The view, as far as it is counted within a few seconds: `CircleView.uncounted` tells the rest. NotFoundError as `Views.of`."""
        view = await self._views.of(circle)
        if self._nursery is None:
            return await self.whole(circle)
        if not view.uncounted():
            return view
        if circle not in self._running:
            self._running[circle] = trio.Event()
            self._nursery.start_soon(self._run, circle)
        with trio.move_on_after(PATIENCE_S):
            await self._running[circle].wait()
        return await self._views.of(circle)

    async def whole(self, circle: CircleId) -> CircleView:
        """The view with everything counted, however long it takes; what comes meanwhile is counted, too."""
        while True:
            view = await self._views.of(circle)
            todo = view.uncounted()
            if not todo:
                return view
            await self._views.ask_of(circle, view, lambda view, todo=todo: _count(view, todo[:PIECE]))  # type: ignore[misc]

    async def _run(self, circle: CircleId) -> None:
        try:
            await self.whole(circle)
        except P2pnodeError:
            pass  # we left that circle, or the store is closed: whoever asks is told so
        finally:
            self._running.pop(circle).set()


def _count(view: CircleView, questions: list[QuestionId]) -> None:
    for id in questions:
        view.count(id)

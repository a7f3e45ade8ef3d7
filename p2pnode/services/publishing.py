"""Publishings under way: each can be paused and goes on where it was, also after a stop or a kill of the node.

What was hashed lies in an unfinished content; the order itself in a small value beside it, written in the same transaction, so that
neither is ever there without the other. Whoever asked and goes away pauses it: what was said to be stopped must not become
public by itself. A publishing that ran when the node ended goes on when it starts.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import trio

from p2pnode.core.ids import CIRCLE_PREFIX, WORK_PREFIX, id_text
from p2pnode.errors import AmbiguousError, NotFoundError, P2pnodeError, RefusedError, StoreError
from p2pnode.ports import Emit, Json, Store, Tx, WallClock
from p2pnode.services.background import contained
from p2pnode.services.publish import Order, Publish, RepeatedError
from p2pnode.services.publish_reading import GivenUp, Reading, read_into_store
from p2pnode.services.publishing_order import Remembered, decode, encode

PREFIX = "publishing/"
"""Of the meta keys under which unfinished publishings are remembered."""
MAX_READING = 2
"""Publishings that read at a time: more would only make the disk seek."""
MAX_UNFINISHED = 64
"""Publishings that are not done: each keeps rows of what it hashed."""
STOP_S = 5.0
"""How long reading may take to stop by itself when it is paused."""
KEPT_FINISHED = 50
"""Finished publishings that are still shown."""

State = Literal["waiting", "reading", "paused", "done", "failed", "cancelled"]
OnProgress = Callable[[Json], None]


@dataclass(slots=True, eq=False)
class Publishing:
    """One publishing, as it is remembered and as it is shown."""

    id: str
    order: Order
    began: float
    content: int
    earlier: int | None = None
    state: State = "waiting"
    reason: str = ""
    progress: Json = field(default_factory=dict)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    ended: trio.Event = field(default_factory=trio.Event)
    wish: Literal["pause", "cancel"] = "pause"
    answer: Json | None = None
    error: P2pnodeError | None = None
    watchers: list[OnProgress] = field(default_factory=list)
    reading: Reading | None = None
    detached: bool = False
    """Nobody needs to wait for it; else it pauses when the last one who waits goes away."""

    @property
    def running(self) -> bool:
        """Whether a task works on it or waits for its turn."""
        return self.state in ("waiting", "reading")

    def remembered(self, *, paused: bool) -> bytes:
        """As the store keeps it."""
        return encode(Remembered(self.order, self.began, self.content, self.earlier, paused, self.reason))

    def shown(self) -> Json:
        """The PUBLISHING of the control socket."""
        order = self.order
        told: Json = {
            "publishing": self.id,
            "path": order.path,
            "title": order.description.title,
            "state": self.state,
            "reason": self.reason,
            "began": self.began,
            "private": order.private,
            "revises": None if order.revises is None else id_text(WORK_PREFIX, order.revises),
            "circle": None if order.circle is None else id_text(CIRCLE_PREFIX, order.circle),
        }
        if self.answer is not None:
            told |= {name: self.answer[name] for name in ("work", "known_bytes") if name in self.answer}
        return told | {name: value for name, value in self.progress.items() if name != "path"}


class Publishings:
    """Every publishing of this node. `emit` tells events of the node."""

    def __init__(self, store: Store, publish: Publish, clock: WallClock, emit: Emit) -> None:
        self._store, self._publish, self._clock, self._emit = store, publish, clock, emit
        self._all: dict[str, Publishing] = {}
        self._reading = trio.CapacityLimiter(MAX_READING)
        self._nursery: trio.Nursery | None = None

    async def start(self, nursery: trio.Nursery) -> None:
        """Take up what was unfinished when the node ended."""
        self._nursery = nursery
        for key, value in await self._store.read(lambda tx: tx.meta_with_prefix(PREFIX)):
            held = decode(value)
            one = Publishing(key[len(PREFIX) :], held.order, held.began, held.content, held.earlier)
            self._all[one.id] = one
            one.detached = True
            if held.paused:
                one.state, one.reason = "paused", held.reason
                one.ended.set()
            else:
                await self._go_on(one)

    async def begin(self, order: Order, *, detach: bool = False) -> Publishing:
        """A new publishing, or the unfinished one of the same order. It runs by itself; see `wait`."""
        order = await self._publish.checked(order)
        for one in self._all.values():
            if one.order == order and (one.state == "paused" or one.running):
                return await self.resume(one.id, detach=detach or (one.running and one.detached))
        if sum(not one.ended.is_set() or one.state == "paused" for one in self._all.values()) >= MAX_UNFINISHED:
            raise RefusedError(
                f"{MAX_UNFINISHED} publishings are unfinished", hint="see and end some: p2pnode publishing"
            )
        id = f"p-{secrets.token_hex(4)}"

        def begin(tx: Tx) -> Publishing:
            content = self._publish.begin(tx, order)
            tx.keep_building(content)
            one = Publishing(id, order, self._clock(), content, detached=detach)
            tx.set_meta(PREFIX + id, one.remembered(paused=False))
            return one

        one = await self._store.write(begin)
        self._all[id] = one
        self._run_soon(one)
        return one

    async def wait(self, one: Publishing, on_progress: OnProgress) -> Json:
        """The answer of `p2pnode publish`, once it is done; what failed raises. Cancelled: the publishing pauses."""
        one.watchers.append(on_progress)
        try:
            await one.ended.wait()
        except trio.Cancelled:
            alone = not one.detached and one.watchers == [on_progress]
            if alone and one.running and self._nursery is not None:
                self._nursery.start_soon(self._end, one, "pause")
            raise
        finally:
            one.watchers.remove(on_progress)
        if one.error is not None:
            raise one.error
        if one.answer is None:
            raise RefusedError(
                f"publishing {one.id} was {one.state}", hint=f"go on: p2pnode publishing resume {one.id}"
            )
        return one.answer

    def shown(self) -> list[Json]:
        """Unfinished ones first, then the newest."""
        order = sorted(self._all.values(), key=lambda one: (one.state in ("done", "failed", "cancelled"), -one.began))
        return [one.shown() for one in order]

    async def pause(self, id: str) -> Publishing:
        """What was hashed stays; nothing becomes public."""
        one = self._find(id)
        await self._end(one, "pause")
        self._refuse_finished(one)
        return one

    async def resume(self, id: str, *, detach: bool = False) -> Publishing:
        """Go on where it was."""
        one = self._find(id)
        self._refuse_finished(one)
        one.detached = detach
        if not one.running:
            await self._go_on(one)
        return one

    async def cancel(self, id: str) -> Publishing:
        """Give it up, with everything that was hashed for it."""
        one = self._find(id)
        self._refuse_finished(one)
        await self._end(one, "cancel")
        if one.state == "paused":
            await self._drop(one, "cancelled", "")
        return one

    async def _end(self, one: Publishing, wish: Literal["pause", "cancel"]) -> None:
        """Let it stop by itself, so that everything hashed is kept; a disk that does not answer is left behind."""
        if not one.running:
            return
        one.wish = wish
        if one.reading is not None:
            one.reading.stop.set()
            with trio.move_on_after(STOP_S):
                await one.ended.wait()
        one.scope.cancel()
        await one.ended.wait()

    def _find(self, id: str) -> Publishing:
        fitting = [one for key, one in self._all.items() if key.startswith(id.strip())]
        if len(fitting) > 1:
            raise AmbiguousError(f"{id!r} fits {len(fitting)} publishings")
        if not fitting or len(id.strip()) < len("p-x"):
            raise NotFoundError(f"there is no publishing {id!r}", hint="see them: p2pnode publishing")
        return fitting[0]

    def _refuse_finished(self, one: Publishing) -> None:
        if one.state in ("done", "failed", "cancelled"):
            raise RefusedError(f"publishing {one.id} is {one.state} already", hint="nothing was changed")

    # ------------------------------------------------------------ running

    async def _go_on(self, one: Publishing) -> None:
        """Everything that was hashed so far is set aside, so that the new reading finds it there."""

        def prepare(tx: Tx) -> tuple[int, int]:
            earlier = tx.set_aside(one.content, one.earlier)
            content = self._publish.begin(tx, one.order)
            tx.keep_building(content)
            value = Remembered(one.order, one.began, content, earlier, paused=False, reason="")
            tx.set_meta(PREFIX + one.id, encode(value))
            return content, earlier

        one.content, one.earlier = await self._store.write(prepare)
        one.scope, one.ended = trio.CancelScope(), trio.Event()
        one.error, one.reading, one.progress = None, None, {}
        self._say(one, "waiting", "for its turn")
        self._run_soon(one)

    def _run_soon(self, one: Publishing) -> None:
        assert self._nursery is not None, "publishings are begun by a running node"
        self._nursery.start_soon(contained, self._run, one)

    async def _run(self, one: Publishing) -> None:
        try:
            with one.scope:
                async with self._reading:
                    await self._read_and_commit(one)
            if one.scope.cancelled_caught:
                await self._stopped(one)
        except Exception:
            one.error = one.error or P2pnodeError(
                "publishing failed inside the node", hint="the daemon's log tells more"
            )
            self._say(one, "paused", one.error.message)
            raise
        finally:
            one.ended.set()
            self._forget_oldest()

    async def _read_and_commit(self, one: Publishing) -> None:
        self._say(one, "reading", "")
        reading = one.reading = Reading(one.order.path, one.content, one.earlier)

        def finished(tx: Tx) -> None:
            if one.earlier is not None:
                tx.drop_building(one.earlier)
            tx.set_meta(PREFIX + one.id, None)

        try:
            await read_into_store(self._store, reading, lambda progress: self._tell(one, progress))
            one.answer = await self._publish.commit(one.order, reading, finished)
        except GivenUp:
            await self._stopped(one)
        except P2pnodeError as error:
            one.error = error
            await self._failed(one, error)
        else:
            self._say(one, "done", "")
            told = {"work": one.answer["work"], "title": one.order.description.title}
            self._emit("work.published", told)

    async def _failed(self, one: Publishing, error: P2pnodeError) -> None:
        """What may be well another time (a full disk, a quota, a folder that is away, a circle that waits) keeps what was hashed."""
        begun = one.earlier is not None or bool(one.progress)
        if isinstance(error, StoreError) or (begun and not isinstance(error, RepeatedError)):
            error.hint = f"{error.hint}; to go on then: p2pnode publishing resume {one.id}".lstrip("; ")
            await self._pause(one, error.message)
        else:
            await self._drop(one, "failed", error.message)

    async def _stopped(self, one: Publishing) -> None:
        if one.wish == "cancel":
            await self._drop(one, "cancelled", "")
        else:
            await self._pause(one, "as you wished")

    async def _pause(self, one: Publishing, reason: str) -> None:
        self._say(one, "paused", reason)
        value = one.remembered(paused=True)
        await self._store.write(lambda tx: tx.set_meta(PREFIX + one.id, value))

    async def _drop(self, one: Publishing, state: Literal["failed", "cancelled"], reason: str) -> None:
        def drop(tx: Tx) -> None:
            for content in (one.content, one.earlier):
                if content is not None:
                    tx.drop_building(content)
            tx.set_meta(PREFIX + one.id, None)

        await self._store.write(drop)
        self._say(one, state, reason)

    def _say(self, one: Publishing, state: State, reason: str) -> None:
        one.state, one.reason = state, reason
        self._emit("publishing.changed", one.shown())

    def _tell(self, one: Publishing, progress: Json) -> None:
        one.progress = progress
        told = progress | {"publishing": one.id}
        for watcher in list(one.watchers):
            watcher(told)

    def _forget_oldest(self) -> None:
        finished = [one for one in self._all.values() if one.state in ("done", "failed", "cancelled")]
        for one in sorted(finished, key=lambda one: -one.began)[KEPT_FINISHED:]:
            del self._all[one.id]

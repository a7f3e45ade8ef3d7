"""One reconciliation over one stream: the engine of `core.reconcile`, a stream, the door and the store, for either side.

It keeps the time; the engine keeps all other limits. What arrives is admitted before the next frame is read, so a session that
breaks leaves what it brought. Called by `services.sync`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import trio

from p2pnode.core import sync_messages
from p2pnode.core.admission import belongs
from p2pnode.core.ids import CircleId, RecordId
from p2pnode.core.reconcile import MAX_SESSION_BYTES, Reconciliation
from p2pnode.core.records import encode_signed
from p2pnode.errors import NetworkError, PeerError
from p2pnode.ports import Store, Stream, Tx
from p2pnode.services.admission import Admission
from p2pnode.services.framing import receive_frame, send_frame

SESSION_S = 60.0
"""Of one session; what is left goes into the next."""
SILENCE_S = 15.0
"""Between two frames: a peer that says nothing for longer is gone or stalls."""

INLINE_KEYS = 20_000
"""A circle up to this size is hashed for a salted session at once: a millisecond a reading."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`complete`: both sides settled everything; False: cut, go on later. `received` are records, `new` those that were admitted.

    `lacking` records did not come, as the peer has no more than their ids; `bare`: so it is with us. `salted`: it was such a session.
    """

    complete: bool
    received: int = 0
    new: int = 0
    bytes: int = 0
    lacking: int = 0
    bare: bool = False
    salted: bool = False

    @property
    def in_vain(self) -> bool:
        """Whether the next one would probably be as useless."""
        return not self.new and (not self.complete or self.lacking > 0 or self.bare)


async def reconcile(
    stream: Stream,
    store: Store,
    admission: Admission,
    circle: CircleId,
    *,
    initiator: bool,
    salt: bytes | None = None,
    may_salt: Callable[[], bool] = lambda: False,
    on_new: Callable[[int], None] = lambda new: None,
) -> Outcome:
    """Run a session to its end or for a minute; `salt` and `may_salt` as for the engine, `on_new` is told how many records were new.

    PeerError or DecodeError if the peer breaks the rules, NetworkError if it is gone.
    """
    held = await admission.circle_set(circle)
    engine = Reconciliation(
        held.control,
        held.rest,
        initiator=initiator,
        rng=random.random,
        salt=salt,
        may_salt=may_salt,
        session_bytes=MAX_SESSION_BYTES,
    )
    session = _Session(stream, store, admission, circle, engine, on_new, large=len(held) > INLINE_KEYS)
    try:
        with trio.move_on_after(SESSION_S):
            await session.run()
    except trio.TooSlowError:
        raise NetworkError(f"the peer was silent for {SILENCE_S:.0f} seconds in the middle of a session") from None
    total = engine.bytes_sent + engine.bytes_received
    return Outcome(engine.complete, session.received, session.new, total, engine.lacking, engine.is_bare, engine.salted)


class _Session:
    def __init__(
        self,
        stream: Stream,
        store: Store,
        admission: Admission,
        circle: CircleId,
        engine: Reconciliation,
        on_new: Callable[[int], None],
        *,
        large: bool,
    ) -> None:
        self._stream, self._store, self._admission = stream, store, admission
        self._circle, self._engine, self._on_new = circle, engine, on_new
        self.received = self.new = 0
        self._large = large

    async def run(self) -> None:
        while not self._engine.ended:
            if self._engine.our_turn:
                await self._speak()
            else:
                await self._listen()

    async def _speak(self) -> None:
        loaded = await self._load(self._engine.to_load())
        for frame in await self._computed(lambda: self._engine.turn(loaded)):
            with trio.fail_after(SILENCE_S):
                await send_frame(self._stream, frame)

    async def _listen(self) -> None:
        with trio.fail_after(SILENCE_S):
            frame = await receive_frame(self._stream, sync_messages.MAX_FRAME_BYTES)
        if frame is None:
            raise NetworkError("the peer ended the session without a farewell")
        step = await self._computed(lambda: self._engine.receive(frame))
        if step.records:
            await self._admit(step.records)

    async def _computed(self, work: Callable[[], T]) -> T:
        """The engine's answer. What reads a whole large circle, in a salted session, is computed in a thread: it has a copy of it."""
        if self._engine.salted and self._large:
            return await trio.to_thread.run_sync(work)
        return work()

    async def _admit(self, records: Sequence[bytes]) -> None:
        outcome = await self._admission.admit(records, self._circle, self._stream.peer)
        self.received += len(records)
        self.new += len(outcome.new)
        self._on_new(len(outcome.new))
        if outcome.rejected:
            # Nobody stores such a record, so nobody honest sends one.
            raise PeerError(
                f"{outcome.rejected} of the records it sent are malformed, badly signed or of another circle"
            )

    async def _load(self, ids: Sequence[RecordId]) -> dict[RecordId, bytes]:
        def work(tx: Tx) -> dict[RecordId, bytes]:
            found = ((id, tx.record(id)) for id in ids)
            return {id: encode_signed(record) for id, record in found if record and belongs(record, self._circle)}

        return await self._store.read(work) if ids else {}

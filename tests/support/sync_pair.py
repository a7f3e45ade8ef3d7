"""Two reconciliation engines joined by a list of frames: a whole session in one call, with what it cost."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from p2pnode.core.ids import RecordId
from p2pnode.core.reconcile import MAX_SESSION_BYTES, Reconciliation
from p2pnode.core.sync_index import Fingerprint, SyncIndex, fingerprint
from p2pnode.core.sync_messages import MAX_FRAME_BYTES

Entry = tuple[int, RecordId]
MAX_TURNS = 1000


@dataclass
class Side:
    """What one node holds. A stand-in for a record is 8 bytes of `created`, the id, and padding."""

    control: SyncIndex
    rest: SyncIndex
    received: list[Entry] = field(default_factory=list)

    @classmethod
    def of(cls, control: Iterable[Entry] = (), rest: Iterable[Entry] = (), print_of: Fingerprint = fingerprint) -> Side:
        return cls(SyncIndex(control, print_of=print_of), SyncIndex(rest, print_of=print_of))

    def held(self) -> tuple[list[bytes], list[bytes]]:
        return self.control.keys(b"", None, 10**7), self.rest.keys(b"", None, 10**7)

    def admit(self, records: Iterable[bytes]) -> None:
        for data in records:
            index = self.control if data[:1] == b"c" else self.rest
            index.add(int.from_bytes(data[1:9], "big"), RecordId(data[9:41]))
            self.received.append((int.from_bytes(data[1:9], "big"), RecordId(data[9:41])))

    def load(self, ids: Iterable[RecordId], size: int) -> dict[RecordId, bytes]:
        wanted = set(ids)
        found: dict[RecordId, bytes] = {}
        for mark, keys in zip((b"c", b"r"), self.held(), strict=True):
            found |= {RecordId(key[8:]): mark + key + bytes(size - 41) for key in keys if key[8:] in wanted}
        return found


@dataclass
class Report:
    complete: bool
    bytes: int
    record_bytes: int
    records: int
    messages: int


def run_session(
    one: Side,
    other: Side,
    *,
    seed: int = 1,
    size: int = 100,
    frame_bytes: int = MAX_FRAME_BYTES,
    session_bytes: int = MAX_SESSION_BYTES,
    stop_after_frames: int | None = None,
    salt: bytes | None = None,
    may_salt: bool = True,
) -> Report:
    """One session begun by `one`. With `stop_after_frames` the line breaks there. With a `salt` it is a salted one."""
    rng = random.Random(seed)
    engines = [
        Reconciliation(
            side.control,
            side.rest,
            initiator=side is one,
            rng=rng.random,
            salt=salt if side is one else None,
            may_salt=lambda: may_salt,
            frame_bytes=frame_bytes,
            session_bytes=session_bytes,
        )
        for side in (one, other)
    ]
    sides = [one, other]
    frames_left = stop_after_frames if stop_after_frames is not None else 10**9
    record_bytes = records = messages = speaker = 0
    while not engines[speaker].ended:
        messages += 1
        assert messages < MAX_TURNS, "the session does not end"
        me, you = engines[speaker], engines[1 - speaker]
        for frame in me.turn(sides[speaker].load(me.to_load(), size)):
            if frames_left == 0:
                return Report(False, me.bytes_sent + you.bytes_sent, record_bytes, records, messages)
            frames_left -= 1
            step = you.receive(frame)
            sides[1 - speaker].admit(step.records)
            records += len(step.records)
            record_bytes += sum(2 + len(record) for record in step.records)
        speaker = 1 - speaker
    total = engines[0].bytes_sent + engines[1].bytes_sent
    assert total == engines[0].bytes_received + engines[1].bytes_received
    assert engines[1 - speaker].ended
    return Report(engines[0].complete and engines[1].complete, total, record_bytes, records, messages)

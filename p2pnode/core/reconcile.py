"""Two nodes find out what each lacks: range-based set reconciliation, as an engine without I/O (design 4.5).

Rules first. The sides take turns, the initiator begins. A range is answered with nothing when its fingerprints agree; else the
answerer names its ids if it has at most 32 there, or splits it 16 ways with a fingerprint each. A list of ids is answered by sending
at once the records that are missing from it and by WANTing those that we miss. Control records come first: while ranges of them
are open, ranges of the rest are put off (flag AGAIN) and the initiator asks about them once more. Each session cuts at an offset of
its own, so that nobody can prepare ranges that always agree. Every frame stands for itself: indexes may change in the middle of
a session, and a session that is cut leaves both sides with what they got. A salted session (once a day with a peer) is the same
with other fingerprints: whoever found two sets with one sum of ids hides nothing from it.

Limits hold for both sides. Where an honest engine reaches one it says BYE cut; a peer that goes beyond one broke the rules.
`services.sync` carries frames, admits what arrives and loads what is asked for; it also keeps the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from p2pnode.core import sync_messages as wire
from p2pnode.core.ids import ID_BYTES, RecordId
from p2pnode.core.keys import SIGNATURE_BYTES
from p2pnode.core.records import record_id
from p2pnode.core.sync_index import SyncIndex, key_id
from p2pnode.core.sync_messages import CONTROL, REST, Frame, KeyRange
from p2pnode.core.sync_salted import SaltedIndex
from p2pnode.errors import PeerError
from p2pnode.limits import MIB

SPLIT_WAYS = 16
OPENING_WAYS = 2
"""An opening is cut once, anywhere: 21 bytes that let the next session see what happened to agree in this one."""
MAX_SESSION_BYTES = 8 * MIB
"""Both directions together, length prefixes included; what is left goes into the next session."""
MAX_TURNS = 256
"""Of each side. At a million records a session takes four or five; a full one of records sixteen more."""
MAX_RANGES = 1 << 16
"""Ranges that one side may say in a session: some seconds of fingerprints at most."""
MAX_PENDING_RANGES = 1 << 14
"""Ranges waiting to be said, so that splitting cannot grow without bound."""
MAX_SCANNED_KEYS = 1 << 17
"""Keys read to answer lists: twice what 8 MiB can carry of the smallest records."""
MAX_MOVED_IDS = 1 << 16
"""Records sent, or asked for, in a session."""
LOAD_RECORDS = 1024
"""Records loaded for one turn: about what half a megabyte holds."""
FRAME_HEAD_BYTES = 4
"""The length prefix that the stream adds to each frame, counted so that both sides count the same."""

MAX_TURN_RANGE_FRAMES = 5
"""Of each phase in one turn: the rest of a turn is left for ids and records."""

_FRAME_RECORDS = 256  # more of the smallest records than a frame holds
_EMPTY_ROOM = FRAME_HEAD_BYTES + len(wire.encode_empty())
_BYE_ROOM = FRAME_HEAD_BYTES + len(wire.encode_bye(cut=True))


@dataclass(frozen=True, slots=True)
class Step:
    """What one received frame means for the caller: records to admit (before the next frame), and whose turn it is now."""

    records: tuple[bytes, ...] = ()
    our_turn: bool = False
    ended: bool = False


class Reconciliation:
    """One session over the two indexes of a circle. `rng` gives floats in [0, 1).

    An initiator that gives a `salt` makes it a salted session; the answering side takes part if `may_salt` says so, else it says BYE cut.

    While `our_turn`: load the bytes of `to_load()`, send what `turn(loaded)` returns. Else: give each frame to `receive`.
    """

    def __init__(
        self,
        control: SyncIndex,
        rest: SyncIndex,
        *,
        initiator: bool,
        rng: Callable[[], float],
        salt: bytes | None = None,
        may_salt: Callable[[], bool] = lambda: False,
        frame_bytes: int = wire.MAX_FRAME_BYTES,
        session_bytes: int = MAX_SESSION_BYTES,
    ) -> None:
        self._frame_bytes, self._session_bytes = frame_bytes, session_bytes
        self._indexes: dict[int, SyncIndex] = {CONTROL: control, REST: rest}
        self._initiator = initiator
        self._offset = rng()
        self._to_say: dict[int, list[KeyRange]] = {CONTROL: [], REST: []}
        self._to_want: list[RecordId] = []
        self._to_send: dict[RecordId, None] = {}  # in order, control records first
        self._asked: set[RecordId] = set()
        self._lacking: set[RecordId] = set()
        self._bare = self._peer_is_bare = False
        self.is_bare = False
        """Whether we hold only the ids of something that the peer lacks."""
        self._offered: set[RecordId] = set()
        self._ask_rest = initiator
        self._rest_put_off = False
        self._peer_has_more = False
        self._limited = False
        self._scanned = self._ranges_said = self._ranges_heard = self._frames_heard = 0
        self._salt, self._may_salt, self._refused = salt, may_salt, False
        self.salted = False
        """Whether fingerprints read every key of their range: large ones are better computed in a thread."""
        self.our_turn = initiator
        self.ended = False
        self.complete = False
        """True once both sides settled everything; False after the end means the session was cut."""
        self.bytes_sent = self.bytes_received = self.turns = 0
        if salt is not None:
            self._salt_indexes(salt)
        if initiator:
            self._to_say[CONTROL] = self._opening(CONTROL)

    # ------------------------------------------------------------ hearing

    def receive(self, data: bytes) -> Step:
        """One frame of the peer. DecodeError or PeerError if it breaks the rules; the indexes are never changed here."""
        if self.ended or self.our_turn:
            raise PeerError("the peer spoke out of turn")
        self.bytes_received += len(data) + FRAME_HEAD_BYTES
        self._frames_heard += 1
        if self._room() + _BYE_ROOM < 0 or self._frames_heard > wire.MAX_TURN_FRAMES:
            raise PeerError("the peer sent more than a sync session or a turn may carry")
        frame = wire.decode_frame(data)
        self._peer_is_bare |= bool(frame.flags & wire.BARE)
        if frame.kind == wire.BYE:
            self.ended = True
            self.complete = not (frame.cut or self._limited or self._has_more())
            return Step(ended=True)
        self._hear(frame)
        if frame.last:
            self._begin_turn(frame)
        return Step(frame.records, our_turn=self.our_turn)

    def _salt_indexes(self, salt: bytes) -> None:
        self._indexes = {phase: SaltedIndex(index, salt) for phase, index in self._indexes.items()}
        self.salted = True

    def _hear(self, frame: Frame) -> None:
        if frame.kind == wire.SALT:
            if self._initiator or self.turns or self._frames_heard > 1:
                raise PeerError("only the first frame of a session may salt it")
            self._refused = not self._may_salt()
            if not self._refused:
                self._salt_indexes(frame.salt)
            return
        for record in frame.records:
            self._lacking.discard(record_id(record[SIGNATURE_BYTES:]))
        if self._refused:
            return
        if frame.kind in (CONTROL, REST):
            self._ranges_heard += len(frame.ranges)
            if self._ranges_heard > MAX_RANGES:
                raise PeerError("the peer split ranges without end")
        if frame.kind == REST and self._to_say[CONTROL]:
            # The initiator asks again by itself; the answering side asks to be asked.
            self._ask_rest, self._rest_put_off = self._initiator, not self._initiator
            return
        for entry in frame.ranges:
            self._answer(frame.kind, entry)
        for id in frame.ids:
            self._offer(id)

    def _begin_turn(self, frame: Frame) -> None:
        if frame.flags & wire.AGAIN:
            if not self._initiator:
                raise PeerError("only the answering side may put ranges off")
            self._ask_rest = True
        self._peer_has_more = bool(frame.flags & wire.MORE)
        self._frames_heard = 0
        self.our_turn = True

    def _answer(self, phase: int, entry: KeyRange) -> None:
        index = self._indexes[phase]
        if not isinstance(entry.said, bytes):
            self._compare(index, entry, entry.said)
        elif index.fingerprint(entry.lower, entry.upper) != entry.said:
            if len(self._to_say[phase]) + SPLIT_WAYS > MAX_PENDING_RANGES:
                self._limited = True
            else:
                self._to_say[phase] += self._describe(index, entry.lower, entry.upper)

    def _describe(self, index: SyncIndex, lower: bytes, upper: bytes | None) -> list[KeyRange]:
        """Our side of a range that differs: its ids if they are few, else the fingerprints of its parts."""
        if index.count(lower, upper) > wire.MAX_LIST_IDS:
            return _prints(index, lower, upper, ways=SPLIT_WAYS, offset=self._offset)
        keys = index.keys(lower, upper, wire.MAX_LIST_IDS)
        return [KeyRange(lower, upper, tuple(key_id(key) for key in keys))]

    def _compare(self, index: SyncIndex, entry: KeyRange, theirs: tuple[RecordId, ...]) -> None:
        """The peer named all it has in a range: what it lacks is to be sent, what we lack to be asked for."""
        allowed = MAX_SCANNED_KEYS - self._scanned
        keys = index.keys(entry.lower, entry.upper, allowed)
        self._scanned += len(keys)
        if len(keys) == allowed:
            self._limited = True
        ours = [key_id(key) for key in keys]
        known = set(theirs)
        for id in ours:
            if id not in known:
                self._offer(id)
        for id in known.difference(ours) - self._asked:
            self._want(id)

    def _offer(self, id: RecordId) -> None:
        if id in self._offered:
            return
        if len(self._offered) >= MAX_MOVED_IDS:
            self._limited = True
            return
        self._offered.add(id)
        self._to_send[id] = None

    def _want(self, id: RecordId) -> None:
        if len(self._asked) >= MAX_MOVED_IDS:
            self._limited = True
            return
        self._asked.add(id)
        self._lacking.add(id)
        self._to_want.append(id)

    @property
    def lacking(self) -> int:
        """At least how many records we lack of which the peer holds no more than the ids, as far as it is seen by now."""
        return max(len(self._lacking), int(self._peer_is_bare))

    # ------------------------------------------------------------ saying

    def to_load(self) -> list[RecordId]:
        """Ids whose signed bytes the next `turn` would send. The caller leaves out what it does not hold in this circle."""
        return list(self._to_send)[:LOAD_RECORDS]

    def turn(self, loaded: Mapping[RecordId, bytes]) -> list[bytes]:
        """Our frames; then it is the peer's turn, or the session `ended`."""
        assert self.our_turn and not self.ended, "not our turn"
        self.turns += 1
        bare = [id for id in self.to_load() if id not in loaded]
        for id in bare:
            del self._to_send[id]
        self._bare = bool(bare)
        self.is_bare |= self._bare
        if self._ask_rest and (self.turns == 1 or not self._to_say[CONTROL]):
            self._to_say[REST], self._ask_rest = self._opening(REST), False
        if self._refused:
            return self._leave([], cut=True)
        frames: list[bytes] = []
        if self._salt is not None and self.turns == 1:
            self._add(frames, wire.encode_salt(self._salt))
        self._say_ranges(CONTROL, frames)
        self._say_ranges(REST, frames)
        self._say_wants(frames)
        self._say_records(loaded, frames)
        if len(frames) == 1 and frames[0][0] == wire.SALT:
            self._add(frames, wire.encode_empty())  # a salt carries no flags
        return self._end_turn(frames)

    def _end_turn(self, frames: list[bytes]) -> list[bytes]:
        stuck = not frames and (self._limited or self._has_more())
        if stuck or self._room() < _EMPTY_ROOM or self.turns >= MAX_TURNS:
            return self._leave(frames, cut=True)
        if self._initiator and not frames and not self._peer_has_more:
            return self._leave(frames, cut=False)
        if not frames:
            self._add(frames, wire.encode_empty())
        flags = wire.LAST | self._bare_flag()
        flags |= (wire.MORE if self._has_more() else 0) | (wire.AGAIN if self._rest_put_off else 0)
        self._rest_put_off = False
        self.our_turn = False
        return [*frames[:-1], wire.with_flags(frames[-1], flags)]

    def _leave(self, frames: list[bytes], *, cut: bool) -> list[bytes]:
        self.our_turn, self.ended, self.complete = False, True, not cut
        self._add(frames, wire.with_flags(wire.encode_bye(cut=cut), self._bare_flag()))
        return frames

    def _bare_flag(self) -> int:
        return wire.BARE if self._bare else 0

    def _opening(self, phase: int) -> list[KeyRange]:
        index = self._indexes[phase]
        if not len(index):
            return [KeyRange(b"", None, ())]
        return _prints(index, b"", None, ways=OPENING_WAYS, offset=self._offset)

    def _say_ranges(self, phase: int, frames: list[bytes]) -> None:
        chosen, later = _disjoint(self._to_say[phase])
        at = 0
        for _ in range(MAX_TURN_RANGE_FRAMES):
            part = chosen[at : at + wire.MAX_FRAME_RANGES]
            frame, taken = wire.encode_ranges(phase, part, self._frame_limit())
            if not taken:
                break
            if self._ranges_said + taken > MAX_RANGES:
                self._limited = True
                break
            self._ranges_said += taken
            at += taken
            self._add(frames, frame)
        self._to_say[phase] = chosen[at:] + later

    def _say_wants(self, frames: list[bytes]) -> None:
        many = (self._frame_limit() - 1) // ID_BYTES
        if self._to_want and many > 0:
            self._add(frames, wire.encode_want(self._to_want[:many]))
            del self._to_want[:many]

    def _say_records(self, loaded: Mapping[RecordId, bytes], frames: list[bytes]) -> None:
        waiting = [id for id in self.to_load() if id in loaded]
        while waiting and len(frames) < wire.MAX_TURN_FRAMES - 1:  # one is kept for BYE
            frame, taken = wire.encode_records([loaded[id] for id in waiting[:_FRAME_RECORDS]], self._frame_limit())
            if not taken:
                break
            self._add(frames, frame)
            for id in waiting[:taken]:
                del self._to_send[id]
            del waiting[:taken]

    def _add(self, frames: list[bytes], frame: bytes) -> None:
        frames.append(frame)
        self.bytes_sent += len(frame) + FRAME_HEAD_BYTES

    def _has_more(self) -> bool:
        return bool(self._to_say[CONTROL] or self._to_say[REST] or self._to_want or self._to_send)

    def _room(self) -> int:
        """Bytes that may still be sent, one BYE set apart."""
        return self._session_bytes - self.bytes_sent - self.bytes_received - _BYE_ROOM

    def _frame_limit(self) -> int:
        return max(0, min(self._frame_bytes, self._room() - FRAME_HEAD_BYTES))


def _prints(index: SyncIndex, lower: bytes, upper: bytes | None, *, ways: int, offset: float) -> list[KeyRange]:
    said: list[KeyRange] = []
    for cut in index.bounds(lower, upper, ways=ways, offset=offset):
        said.append(KeyRange(lower, cut, index.fingerprint(lower, cut)))
        lower = cut or b""
    return said


def _disjoint(ranges: list[KeyRange]) -> tuple[list[KeyRange], list[KeyRange]]:
    """(ranges in order that do not overlap, the others). Honest ranges never overlap; a peer can make ours do so."""
    chosen: list[KeyRange] = []
    later: list[KeyRange] = []
    at: bytes | None = b""
    for entry in sorted(ranges, key=lambda entry: entry.lower):
        if at is not None and entry.lower >= at:
            chosen.append(entry)
            at = entry.upper
        else:
            later.append(entry)
    return chosen, later

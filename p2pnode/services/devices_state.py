"""One's own marks, followed circles and works as entries that the machines of one person share: what changed here, and what others changed.

The machine that holds the identity looks for what differs from what was shared last, and signs that; every machine applies what it
hears. Only what was applied here can be taken back from here: an entry that could not be applied is no wish to undo it. Marks and
circles are everybody's; works are listed for each machine, and not fetched. Called by `services.devices_sync`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass

import trio

from p2pnode.core.charter import Charter
from p2pnode.core.device_roles import SYNC
from p2pnode.core.device_state import MAX_ENTRIES, Entry, decode_entry, later, sign_entry
from p2pnode.core.ids import NO_CIRCLE, WORK_PREFIX, CircleId, PeerId, RecordId, WorkId, id_text
from p2pnode.core.records import decode_signed, encode_signed
from p2pnode.errors import DecodeError, NotFoundError, P2pnodeError
from p2pnode.ports import Json, Store, Tx, WallClock
from p2pnode.services.admission import Admission
from p2pnode.services.circles import Circles
from p2pnode.services.devices_roster import Roster
from p2pnode.services.kin import is_kin
from p2pnode.services.lens import MARKS, Lens
from p2pnode.services.lens import PREFIX as MARK_PREFIX
from p2pnode.services.me import Me

PREFIX = "device/shared/"
MARK, CIRCLE, WORK = "mark/", "circle/", "work/"
WORKS_LISTED = 2000
"""Works of one machine that the others hear of, newest first."""
TITLE_BYTES = 400
AHEAD_S = 86_400.0
"""A time further ahead than this is a clock gone wrong: such an entry would win for ever, so it waits."""
SOURCE = PeerId("device")
"""Where admission is told that a circle's first charter came from; no peer has such an ID."""

log = logging.getLogger("p2pnode.devices")


@dataclass(slots=True)
class _Held:
    entry: Entry
    applied: bool


class SharedState:
    """The entries of one node. `load` first."""

    def __init__(
        self,
        store: Store,
        roster: Roster,
        me: Me,
        clock: WallClock,
        lens: Lens,
        circles: Circles,
        admission: Admission,
        own: PeerId,
    ) -> None:
        self._store, self._roster, self._me, self._clock = store, roster, me, clock
        self._lens, self._circles, self._admission, self._own = lens, circles, admission, own
        self._held: dict[str, _Held] = {}

    async def load(self) -> None:
        """What the store has."""
        rows = await self._store.read(lambda tx: tx.meta_with_prefix(PREFIX))
        self._held = {}
        for name, data in rows:
            try:
                self._held[name.removeprefix(PREFIX)] = _Held(decode_entry(data[1:]), data[:1] == b"\x01")
            except DecodeError:
                continue  # of a later version: its own machine has it still

    def entries(self) -> list[bytes]:
        """All of them, signed."""
        return [held.entry.data for held in self._held.values()]

    def works_elsewhere(self) -> list[Json]:
        """Works that one's other machines hold."""
        items = []
        for key, held in self._held.items():
            kind, _, rest = key.partition("/")
            if kind + "/" == WORK and held.entry.value:
                peer, _, work = rest.partition("/")
                device = self._roster.of(PeerId(peer))
                if peer != self._own and device is not None:
                    items.append(
                        {
                            "device": device.name,
                            "work": id_text(WORK_PREFIX, bytes.fromhex(work)),
                            "title": held.entry.value.decode("utf-8", "replace"),
                        }
                    )
        return sorted(items, key=lambda item: (item["device"], item["title"]))

    async def collect(self) -> bool:
        """Sign what changed here since it was shared last; whether anything did. Nothing on a machine without the identity."""
        if self._roster.owner != self._me.profile.public:
            return False
        local = await self._store.read(self._local)
        changed: list[Entry] = []
        for key, value in local.items():
            held = self._held.get(key)
            if held is None or (held.entry.value != value and held.applied):
                changed.append(self._sign(key, value))
        for key, held in self._held.items():
            if held.applied and held.entry.value and key not in local and self._is_mine(key):
                changed.append(self._sign(key, b""))
        changed = [entry for entry in changed if entry.key in self._held or self._has_room()]
        await self._keep(changed, applied=True)
        return bool(changed)

    async def take(self, parts: Iterable[bytes]) -> int:
        """Entries that another machine holds: keep the later ones and apply them. How many were new. DecodeError for what is none."""
        seen = {held.entry.data for held in self._held.values()}
        fresh: dict[str, Entry] = {}
        for data in parts:
            if data in seen:
                continue
            seen.add(data)
            entry = decode_entry(data)
            await trio.lowlevel.checkpoint()  # a signature each: others have their turn in between
            held = fresh.get(entry.key) or (self._held[entry.key].entry if entry.key in self._held else None)
            if entry.identity != self._roster.owner or entry.stamp > (self._clock() + AHEAD_S) * 1000:
                continue
            if held is None and len(self._held) + len(fresh) >= MAX_ENTRIES:
                continue
            if held is None or later(held, entry) is entry:
                fresh[entry.key] = entry
        await self._keep(fresh.values(), applied=False)
        await self.apply()
        return len(fresh)

    async def apply(self) -> None:
        """Do what entries say that were not done here yet; what cannot be done now is tried again."""
        await self._follow_no_more()
        done = []
        for key, held in list(self._held.items()):
            if held.applied:
                continue
            try:
                applied = await self._do(key, held.entry.value)
            except (P2pnodeError, ValueError) as error:
                log.info("%s, shared by another machine, waits: %s", key[:40], error)
            else:
                done += [held.entry] if applied else []
        await self._keep(done, applied=True)

    async def forget(self) -> None:
        """Belong to nobody: the entries go, what they did here stays."""
        names = list(self._held)

        def write(tx: Tx) -> None:
            for name in names:
                tx.set_meta(PREFIX + name, None)

        await self._store.write(write)
        self._held = {}

    # ------------------------------------------------------------ inside

    def _local(self, tx: Tx) -> dict[str, bytes]:
        local = {MARK + name.removeprefix(MARK_PREFIX): word for name, word in tx.meta_with_prefix(MARK_PREFIX)}
        for circle in tx.circles():
            if (genesis := tx.record(RecordId(circle))) is not None:
                local[CIRCLE + circle.hex()] = encode_signed(genesis)
        for work in tx.works(limit=WORKS_LISTED):
            if not work.private:
                local[f"{WORK}{self._own}/{work.id.hex()}"] = work.title.encode()[:TITLE_BYTES]
        return local

    async def _do(self, key: str, value: bytes) -> bool:
        """Whether it is done; False for what this machine may not or cannot do."""
        kind, _, rest = key.partition("/")
        if kind + "/" == MARK:
            word = value.decode("utf-8", "replace") or None
            if word is not None and word not in MARKS:
                return False
            await self._lens.mark(WorkId(_id(rest)), word)
            return True
        if kind + "/" == CIRCLE and self._roster.allows(self._own, SYNC):
            await (self._follow(CircleId(_id(rest)), value) if value else self._leave(CircleId(_id(rest))))
            return True
        return kind + "/" == WORK

    async def _follow(self, circle: CircleId, genesis: bytes) -> None:
        record = decode_signed(genesis)
        charter = Charter.of(record)
        if bytes(record.id) != bytes(circle) or record.circle != NO_CIRCLE:
            raise DecodeError("the charter is not that circle's first")
        now = self._clock()

        def write(tx: Tx) -> bool:
            if circle in tx.circles():
                return False
            if not is_kin(tx, charter):
                raise DecodeError("it pretends to be a fork of a circle that is here, and is none")
            tx.add_circle(circle, charter.salt, now)
            return True

        if await self._store.write(write):
            await self._admission.admit([genesis], circle, SOURCE)

    async def _follow_no_more(self) -> None:
        """Leave the circles that are followed for the person, once this machine may not; their entries wait, should it be allowed again.

        Where this node is a member by a name of its own it stays one: that is no matter of the certificate.
        """
        if self._roster.owner in (None, self._me.profile.public) or self._roster.allows(self._own, SYNC):
            return
        left = []
        for key, held in list(self._held.items()):
            if not key.startswith(CIRCLE) or not held.applied or not held.entry.value:
                continue
            circle = CircleId(_id(key.removeprefix(CIRCLE)))
            if not await self._circles.joins.is_member(circle):
                await self._leave(circle)
                left.append(held.entry)
        if left:
            log.info("%d circles are not followed any more: this machine may not sync", len(left))
        await self._keep(left, applied=False)

    async def _leave(self, circle: CircleId) -> None:
        with contextlib.suppress(NotFoundError):  # it was never here
            await self._circles.leave(circle, force=True)

    def _is_mine(self, key: str) -> bool:
        return not key.startswith(WORK) or key.startswith(f"{WORK}{self._own}/")

    def _has_room(self) -> bool:
        return len(self._held) < MAX_ENTRIES - WORKS_LISTED // 10

    def _sign(self, key: str, value: bytes) -> Entry:
        held = self._held.get(key)
        stamp = max(int(self._clock() * 1000), held.entry.stamp + 1 if held else 0)
        return sign_entry(self._me.profile, key, value, stamp)

    async def _keep(self, entries: Iterable[Entry], *, applied: bool) -> None:
        kept = list(entries)
        if not kept:
            return
        flag = b"\x01" if applied else b"\x00"

        def write(tx: Tx) -> None:
            for entry in kept:
                tx.set_meta(PREFIX + entry.key, flag + entry.data)

        await self._store.write(write)
        self._held |= {entry.key: _Held(entry, applied) for entry in kept}


def _id(text: str) -> bytes:
    value = bytes.fromhex(text)
    if len(value) != 32:
        raise DecodeError("an id has 32 bytes")
    return value

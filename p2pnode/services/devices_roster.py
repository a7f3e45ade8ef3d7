"""Which devices belong together: certificates as they lie in the store, whose device this node is, and whom it let go by itself.

Kept in memory too, because every stream of a device asks. Only certificates of the one identity that this node belongs to are taken, and
of two for a device the one that `core.device.standing` names. Called by `services.devices` and its parts; talks to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from p2pnode.core.device import Certificate, decode_certificate, standing
from p2pnode.core.ids import PeerId, PublicKey
from p2pnode.errors import AmbiguousError, DecodeError, NotFoundError, RefusedError
from p2pnode.ports import Store, Tx

OWNER_KEY = "device/owner"
NAME_KEY = "device/name"
CERTIFICATE_PREFIX = "device/certificate/"
DROPPED_PREFIX = "device/dropped/"
MAX_DEVICES = 64
"""Devices of one person, revoked ones included: more than anybody has, and a bound on what one of them can send."""


class Roster:
    """The devices of the identity that this node belongs to. `load` before anything else."""

    def __init__(self, store: Store, own: PeerId) -> None:
        self._store, self._own = store, own
        self._held: dict[PeerId, Certificate] = {}
        self._dropped: set[PeerId] = set()
        self.on_changed: list[Callable[[], None]] = []
        """Called after certificates changed here, whoever brought them."""
        self.owner: PublicKey | None = None
        """The identity whose device this node is; None before anything was paired."""

    async def load(self) -> None:
        """What the store has."""

        def read(tx: Tx) -> tuple[bytes | None, list[tuple[str, bytes]], list[tuple[str, bytes]]]:
            return (
                tx.get_meta(OWNER_KEY),
                tx.meta_with_prefix(CERTIFICATE_PREFIX),
                tx.meta_with_prefix(DROPPED_PREFIX),
            )

        owner, certificates, dropped = await self._store.read(read)
        self.owner = None if owner is None else PublicKey(owner)
        self._dropped = {PeerId(name.removeprefix(DROPPED_PREFIX)) for name, _ in dropped}
        self._held = {one.peer: one for _, data in certificates if (one := _readable(data)) is not None}

    def all(self) -> list[Certificate]:
        """Every certificate that stands, by name."""
        return sorted(self._held.values(), key=lambda one: (one.name, one.peer))

    def of(self, peer: PeerId) -> Certificate | None:
        return self._held.get(peer)

    @property
    def mine(self) -> Certificate | None:
        """This node's own."""
        return self._held.get(self._own)

    def allows(self, peer: PeerId, role: str) -> bool:
        """Whether that peer is a device of ours, not revoked and not dropped here, that may do this."""
        certificate = self._held.get(peer)
        return certificate is not None and certificate.allows(role) and peer not in self._dropped

    def is_ours(self, peer: PeerId) -> bool:
        """Whether that peer is a device of ours, whatever it may do."""
        certificate = self._held.get(peer)
        return certificate is not None and not certificate.revoked and peer not in self._dropped

    def is_dropped(self, peer: PeerId) -> bool:
        return peer in self._dropped

    def others(self) -> list[PeerId]:
        """Devices of ours that may be spoken to."""
        return [peer for peer in self._held if peer != self._own and self.is_ours(peer)]

    def find(self, text: str) -> Certificate:
        """By name, or the beginning of a peer ID of at least six characters. NotFoundError, AmbiguousError."""
        named = [one for one in self._held.values() if one.name == text and not one.revoked]
        found = named or [
            one for one in self._held.values() if len(text) >= 6 and text in (one.peer, one.peer[: len(text)])
        ]
        found = found or [one for one in self._held.values() if one.name == text]
        if not found:
            raise NotFoundError(f"there is no device {text!r}", hint="see: p2pnode device list")
        if len(found) > 1:
            raise AmbiguousError(f"{text!r} fits {len(found)} devices")
        return found[0]

    def next_seq(self, peer: PeerId, now: float) -> int:
        """For a new certificate: the time, and more than the last one's."""
        held = self._held.get(peer)
        return max(int(now), held.seq + 1 if held else 0)

    async def belong_to(self, owner: PublicKey, certificates: Iterable[Certificate]) -> None:
        """From now on a device of that identity: one durable transaction. RefusedError if it belongs to another one."""
        if self.owner not in (None, owner):
            raise RefusedError(
                "this machine is another person's device", hint="to leave that person: p2pnode device leave"
            )
        await self._store.write(lambda tx: tx.set_meta(OWNER_KEY, owner))
        self.owner = owner
        await self.take(certificates, paired=True)

    async def take(self, certificates: Iterable[Certificate], *, paired: bool = False) -> list[Certificate]:
        """Keep what is of our identity and newer than what is held; the changes. `paired`: dropped devices come back by it, also those
        whose certificate is the one that is held.
        """
        changed: dict[PeerId, Certificate] = {}
        told = [one for one in certificates if one.identity == self.owner]
        for certificate in told:
            held = changed.get(certificate.peer) or self._held.get(certificate.peer)
            if held and standing(held, certificate).data == held.data:
                continue
            if held is None and len(self._held) + len(changed) >= MAX_DEVICES:
                raise RefusedError(f"a person has at most {MAX_DEVICES} devices, revoked ones included")
            changed[certificate.peer] = certificate
        back = {one.peer for one in told if paired} & self._dropped
        if changed or back:
            await self._store.write(lambda tx: _put(tx, changed.values(), back))
            self._held |= changed
            self._dropped -= back
            self._tell()
        return list(changed.values())

    async def drop(self, peer: PeerId) -> None:
        """Have nothing to do with a device any more, here, without the identity's word."""
        await self._store.write(lambda tx: tx.set_meta(DROPPED_PREFIX + peer, b"1"))
        self._dropped.add(peer)

    async def forget(self) -> None:
        """Belong to nobody again."""
        names = [CERTIFICATE_PREFIX + peer for peer in self._held] + [DROPPED_PREFIX + peer for peer in self._dropped]

        def write(tx: Tx) -> None:
            for name in [OWNER_KEY, *names]:
                tx.set_meta(name, None)

        await self._store.write(write)
        self.owner, self._held, self._dropped = None, {}, set()
        self._tell()

    def _tell(self) -> None:
        for callback in self.on_changed:
            callback()


def _put(tx: Tx, certificates: Iterable[Certificate], back: Iterable[PeerId]) -> None:
    for certificate in certificates:
        tx.set_meta(CERTIFICATE_PREFIX + certificate.peer, certificate.data)
    for peer in back:
        tx.set_meta(DROPPED_PREFIX + peer, None)


def _readable(data: bytes) -> Certificate | None:
    try:
        return decode_certificate(data)
    except DecodeError:
        return None  # written by a later version, or a damaged row: not a reason for the node not to start

"""The machines of one person: pairing them, saying what each may do, taking it back, and driving one from another.

The node whose profile key is the identity signs certificates; a paired server keeps them and belongs to that identity. Each part has
its file: `devices_pairing`, `devices_control`, `devices_sync`, and the list itself in `devices_roster`. Called by the methods `device.*`.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence

import trio

from p2pnode.core.device import Certificate, certify
from p2pnode.core.device_code import Code, parse_code, plate_of
from p2pnode.core.device_roles import DRIVE, ROLES, SERVER_ROLES, VOTE, as_name, check_name, check_roles
from p2pnode.core.ids import KEY_PREFIX, PeerId, id_text
from p2pnode.errors import DecodeError, RefusedError
from p2pnode.ports import Emit, Json, Network, Store, WallClock
from p2pnode.services.devices_control import RemoteControl
from p2pnode.services.devices_pairing import CODE_LIFETIME_S, Paired, Window, enter, find_plate
from p2pnode.services.devices_roster import NAME_KEY, Roster
from p2pnode.services.me import Me


class Devices:
    """One node among its person's devices."""

    def __init__(
        self, store: Store, network: Network, me: Me, clock: WallClock, emit: Emit, *, machine: str | None = None
    ) -> None:
        self._store, self._network, self._me, self._clock, self._emit = store, network, me, clock, emit
        self._machine = as_name(machine or socket.gethostname())
        self.roster = Roster(store, network.peer_id)
        self.control = RemoteControl(network, self.roster)
        self._window = trio.Lock()
        self.on_changed: list[Callable[[], None]] = []
        """Called when certificates changed here by our own doing."""
        self.on_left: list[Callable[[], Awaitable[None]]] = []
        """Called when this machine is nobody's device any more."""

    async def start(self) -> None:
        """Remember whose device this is."""
        await self.roster.load()
        name = await self._store.read(lambda tx: tx.get_meta(NAME_KEY))
        self._machine = name.decode() if name else self._machine

    # ------------------------------------------------------------ pairing

    async def show(self, name: str | None, emit: Emit, lifetime_s: float = CODE_LIFETIME_S) -> Json:
        """Show a code and wait until it is entered elsewhere. RefusedError when it died, or another one is being shown."""
        if self._window.locked():
            raise RefusedError("a code is being shown already", hint="enter that one, or end it with Ctrl-C")
        async with self._window:
            window = Window(self._network, check_name(name) if name else self._machine, self._accept)
            told = {"code": str(window.code), "lifetime_s": lifetime_s, "addresses": self._network.addresses()}
            emit("device.code", told)
            paired = await window.wait(lifetime_s)
        self._changed()
        return self._paired(paired)

    async def enter(
        self, text: str, *, address: str | None, name: str | None, own_name: str | None, roles: Sequence[str]
    ) -> Json:
        """Enter the code that another machine shows, and certify both. UsageError, NotFoundError, RefusedError, NetworkError."""
        self._must_sign()
        code = parse_code(text)
        wanted = check_name(name) if name else None
        allowed = check_roles(roles) or SERVER_ROLES
        own = check_name(own_name) if own_name else self._own_name()
        peer = await self._find(code, address)

        async def certify_both(other: PeerId, calls_itself: str) -> Sequence[Certificate]:
            return await self._certify(other, wanted or as_name(calls_itself), own, allowed)

        paired = await enter(self._network, code, peer, certify_both)
        self._changed()
        return self._paired(paired)

    async def _find(self, code: Code, address: str | None) -> PeerId:
        if address is None:
            return find_plate(self._network, code)
        peer = PeerId(address.rpartition("/p2p/")[2])
        if plate_of(peer) != code.plate:
            raise RefusedError(
                "the code is not that node's", hint="its first four characters belong to the node that shows it"
            )
        return await self._network.connect(address)

    async def _certify(self, other: PeerId, name: str, own: str, roles: Iterable[str]) -> Sequence[Certificate]:
        """Certificates for this machine and the other, kept before they are sent."""
        key, now, roster = self._me.profile, self._clock(), self.roster
        taken = {one.name for one in roster.all() if not one.revoked and one.peer != other} | {own}
        name = next(free for free in (name, *(f"{name}-{n}" for n in range(2, 100))) if free not in taken)
        mine = roster.mine
        if mine is None or mine.revoked or mine.name != own:
            seq = roster.next_seq(self._network.peer_id, now)
            mine = certify(key, self._network.peer_id, own, (*SERVER_ROLES, DRIVE, VOTE), seq=seq)
        theirs = certify(key, other, name, roles, seq=roster.next_seq(other, now))
        await roster.belong_to(key.public, [mine, theirs])
        return mine, theirs

    async def _accept(self, peer: PeerId, certificates: Sequence[Certificate]) -> None:
        """What the other side certified, checked and kept. DecodeError for nonsense, RefusedError if we belong to somebody else."""
        about = {one.peer: one for one in certificates}
        identities = {one.identity for one in certificates}
        if set(about) != {peer, self._network.peer_id} or len(identities) != 1 or any(c.revoked for c in certificates):
            raise DecodeError("the certificates are not about these two machines")
        await self.roster.belong_to(identities.pop(), certificates)

    def _paired(self, paired: Paired) -> Json:
        certificate = self.roster.of(paired.peer)
        assert certificate is not None, "a pairing keeps its certificates before it ends"
        self._emit("device.paired", {"peer_id": paired.peer, "name": certificate.name})
        return self.describe(certificate) | {"check": paired.check}

    # ------------------------------------------------------------ the list

    def list(self) -> Json:
        """The answer of `device.list`."""
        return {"items": [self.describe(one) for one in self.roster.all()]}

    def describe(self, device: Certificate) -> Json:
        """A device as the control socket shows it."""
        connected = {view.peer for view in self._network.peers()}
        state = "revoked" if device.revoked else "dropped" if self.roster.is_dropped(device.peer) else "paired"
        return {
            "name": device.name,
            "peer_id": device.peer,
            "roles": [*device.roles],
            "state": state,
            "this": device.peer == self._network.peer_id,
            "connected": device.peer in connected,
            "identity": id_text(KEY_PREFIX, device.identity),
            "since": device.seq,
        }

    async def rename(self, text: str, name: str) -> Json:
        """Another name for a device, signed anew; without an identity here only this machine's own default name changes."""
        self._must_sign()
        device, name = self.roster.find(text), check_name(name)
        if device.revoked:
            raise RefusedError(f"{device.name} was revoked", hint="pair it again: p2pnode device pair")
        if any(one.name == name and not one.revoked and one.peer != device.peer for one in self.roster.all()):
            raise RefusedError(f"another device is called {name}")
        return await self._sign(device, name, device.roles)

    async def revoke(self, text: str) -> Json:
        """A device may do nothing any more: for all when the identity is here, else only on this machine."""
        device = self.roster.find(text)
        if device.peer == self._network.peer_id:
            raise RefusedError("this is the machine you sit at", hint="to leave its owner: p2pnode device leave")
        if self._signs():
            answer = await self._sign(device, device.name, ())
        else:
            await self.roster.drop(device.peer)
            answer = self.describe(device)
        self.control.cut_refused()
        self._emit("device.revoked", {"peer_id": device.peer, "name": device.name})
        return answer

    async def leave(self) -> Json:
        """This machine belongs to nobody again."""
        await self.roster.forget()
        for forget in self.on_left:
            await forget()
        self.control.cut_refused()
        return {}

    async def take(self, certificates: Iterable[Certificate]) -> None:
        """Certificates that another device of ours brought."""
        changed = await self.roster.take(certificates)
        self.control.cut_refused()
        for one in changed:
            if one.revoked:
                self._emit("device.revoked", {"peer_id": one.peer, "name": one.name})

    # ------------------------------------------------------------ what this node may

    def refuse_signing(self) -> None:
        """RefusedError on a device that its identity did not certify for signing in circles."""
        mine = self.roster.mine
        if mine is not None and not mine.allows(VOTE):
            may = ", ".join(role for role in ROLES if mine.allows(role)) or "nothing any more"
            raise RefusedError(
                f"this machine is {mine.name}, a device of {id_text(KEY_PREFIX, mine.identity)}, certified for {may};"
                " it signs nothing in circles",
                hint="do this on the machine that holds your identity, without --node",
            )

    def _signs(self) -> bool:
        return self.roster.owner in (None, self._me.profile.public)

    def _must_sign(self) -> None:
        if not self._signs():
            raise RefusedError(
                "this machine is a device itself: it cannot certify others",
                hint="do this on the machine that holds your identity",
            )

    async def _sign(self, device: Certificate, name: str, roles: Iterable[str]) -> Json:
        seq = self.roster.next_seq(device.peer, self._clock())
        certificate = certify(self._me.profile, device.peer, name, roles, seq=seq)
        await self.roster.take([certificate])
        self._changed()
        return self.describe(certificate)

    def _own_name(self) -> str:
        mine = self.roster.mine
        return mine.name if mine is not None and not mine.revoked else self._machine

    def _changed(self) -> None:
        for tell in self.on_changed:
            tell()

"""One running node: every journey on one store and one network, joined by what happens.

The daemon builds it and gives it a nursery; the control socket's methods call its parts. It starts what runs by itself (gossip, sync,
the outbox, unfinished transfers and joins) and turns changes of records into fresh views and events.
"""

from __future__ import annotations

import logging

import trio

from p2pnode.config import Home, Settings
from p2pnode.core.ids import (
    CIRCLE_PREFIX,
    id_text,
)
from p2pnode.core.record import Record
from p2pnode.core.understanding import is_understood
from p2pnode.core.verdict import CircleView
from p2pnode.ports import Emit, Network, Store, Tx, WallClock
from p2pnode.services.admission import Admission, Change
from p2pnode.services.background import contained, for_ever
from p2pnode.services.catalogue import put_manifest
from p2pnode.services.circles import Circles
from p2pnode.services.devices import Devices
from p2pnode.services.devices_duties import Duties
from p2pnode.services.devices_state import SharedState
from p2pnode.services.devices_sync import DeviceSync
from p2pnode.services.devices_voids import Voids
from p2pnode.services.doctor import Doctor
from p2pnode.services.explain import Explain
from p2pnode.services.following import Following
from p2pnode.services.gateway_door import GatewayDoor
from p2pnode.services.gossip import Gossip
from p2pnode.services.having import Having
from p2pnode.services.history import WorkHistory
from p2pnode.services.ipfs import Ipfs
from p2pnode.services.keeping import Keeping
from p2pnode.services.keeping_copies import Copies
from p2pnode.services.keeping_space import Space
from p2pnode.services.keeping_verify import Checking
from p2pnode.services.lens import Lens
from p2pnode.services.lookups import Lookups
from p2pnode.services.me import Me
from p2pnode.services.notices import Notices
from p2pnode.services.outbox import Outbox
from p2pnode.services.pruning import Pruning
from p2pnode.services.publish import Publish
from p2pnode.services.publishing import Publishings
from p2pnode.services.reachability import ReachabilityWatch
from p2pnode.services.reading import Reading
from p2pnode.services.sealing import Sealing
from p2pnode.services.search import Search
from p2pnode.services.serve_blocks import ServeBlocks
from p2pnode.services.sync import Sync
from p2pnode.services.traffic import TrafficLimits
from p2pnode.services.transfers import Transfers
from p2pnode.services.views import Views
from p2pnode.services.watching import Watching

log = logging.getLogger("p2pnode.node")


class Node:
    """The parts of a node, by name. `emit` tells events; setting `stop` ends the daemon."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        store: Store,
        network: Network,
        me: Me,
        clock: WallClock,
        emit: Emit,
        stop: trio.Event,
    ) -> None:
        self.home, self.settings, self.store, self.network = home, settings, store, network
        self.me, self.clock, self.emit, self.stop = me, clock, emit, stop
        self.started = clock()
        self.gateway: GatewayDoor | None = None  # the daemon has one; it stands on the services, not among them
        self.traffic = TrafficLimits(settings, store, network.meter, clock, emit)
        self.views = Views(store, clock)
        self.admission = Admission(store, clock, on_manifest=self._on_manifest)
        self.devices = Devices(store, network, me, clock, emit)
        self.duties = Duties(self.devices.roster, network)
        self.sync = Sync(store, network, self.admission, me, clock)
        self.gossip = Gossip(store, network, self.admission, clock)
        self.outbox = Outbox(
            store,
            network,
            clock,
            gossip=self.gossip.publish_records,
            circle_keys=self.sync.circle_keys,
            seeds=self.duties.seeds,
        )
        self.blocks = ServeBlocks(network, store, self.traffic, self.duties.serves)
        self.ipfs = Ipfs(network, store, clock, self.traffic, self.duties.seeds)
        self.search = Search(store, network, self.views, clock, self.sync.members_first)
        self.lookups = Lookups(store, self.search)
        self.explain = Explain(store, self.views, me, self.sync)
        self.circles = Circles(store, network, self.admission, self.views, me, clock, emit=emit)
        self.history = WorkHistory(store, self.views, me)
        self.lens = Lens(store)
        self.notices = Notices(store, clock, emit)
        self.following = Following(store, self.views, me, self.notices, emit)
        self.sealing = Sealing(store, self.admission, self.views, me, clock, self.sync.is_provisional)
        self.pruning = Pruning(store, self.admission, self.views, me)
        self.publish = Publish(store, me, self.admission, clock, self._wake_told)
        self.publishings = Publishings(store, self.publish, clock, emit)
        self.watching = Watching(store, self.publishings, clock, emit)
        self.transfers = Transfers(
            store,
            network,
            self.search,
            clock,
            emit,
            self._wake_told,
            limited=self.traffic.limited,
            ipfs=self.ipfs,
            traffic=self.traffic,
        )
        self.traffic.on_used_up.append(self.transfers.hold)
        self.reading = Reading(store, self.transfers)
        self.having = Having(network, store, self.transfers.fetching, self.duties.serves)
        self.keeping = Keeping(store, network, self.transfers, emit)
        self.space = Space(
            store,
            self.keeping,
            Copies(store, network, clock),
            clock,
            self.transfers.shown,
            quota_bytes=settings.quota_bytes,
            floor_bytes=settings.floor_bytes,
        )
        self.checking = Checking(store, self.transfers, clock, emit, self.duties.repairs)
        self.reachability = ReachabilityWatch(
            network, emit, self.outbox.announcing.again, lan=settings.lan, maps_ports=settings.map_ports
        )
        self.doctor = Doctor(
            store,
            network,
            clock,
            traffic=self.traffic,
            sync=self.sync,
            announced=self.outbox.announcing,
            standing=self.reachability.now,
            dialled_back=self.reachability.ask_now,
            watched=self.watching.count,
            library=settings.library or str(home.library),
            settings=settings,
        )
        roster = self.devices.roster
        shared = SharedState(store, roster, me, clock, self.lens, self.circles, self.admission, network.peer_id)
        self.device_sync = DeviceSync(network, self.devices, shared)
        self.voids = Voids(store, self.admission, me, clock, self.devices.refuse_signing)

    async def start(self, nursery: trio.Nursery) -> None:
        """Answer others, and begin everything that runs by itself in `nursery`."""
        self.admission.watch(lambda change: self._changed(change, nursery))
        self.search.start()
        self.blocks.start()
        self.having.start()
        self.checking.start()
        self.doctor.probes.start()
        nursery.start_soon(for_ever, self.doctor.run)
        self.store.when_full(self.space.make_room)
        await self.devices.start()
        self.duties.start()
        await self.traffic.start(nursery)
        await self.ipfs.start(nursery)
        await self.transfers.start(nursery)
        await self.publishings.start(nursery)
        await self.watching.start(nursery)
        await self.sync.start(nursery)
        await self.gossip.start(nursery)
        await self.circles.start(nursery)
        await self.device_sync.start(nursery)
        nursery.start_soon(for_ever, self.sealing.run)
        nursery.start_soon(for_ever, self.voids.run)
        nursery.start_soon(for_ever, self.pruning.run)
        nursery.start_soon(for_ever, self.outbox.run)
        nursery.start_soon(self.checking.run)
        nursery.start_soon(for_ever, self.lookups.run)
        nursery.start_soon(for_ever, self._tell_of_peers)
        nursery.start_soon(for_ever, self.reachability.run)

    def _wake_told(self) -> None:
        """There is something new for the network to hear."""
        self.outbox.wake()
        self.ipfs.wake()

    def _on_manifest(self, tx: Tx, record: Record) -> None:
        """A manifest came in through a circle: the catalogue follows, in the same transaction."""
        if is_understood(record):
            put_manifest(tx, record, state="heard", private=False, added=self.clock())

    def _changed(self, change: Change, nursery: trio.Nursery) -> None:
        """Records of a circle changed: whoever asks from now on gets a fresh count."""
        before = self._forget_view(change)
        if change.source is None:
            self.outbox.wake()
        else:
            self.emit("record.received", {"circle": id_text(CIRCLE_PREFIX, change.circle), "count": len(change.added)})
        for record in change.added:
            self.lookups.noticed(record)
        nursery.start_soon(contained, self.following.follow, change.circle, before)

    def _forget_view(self, change: Change) -> CircleView | None:
        """What peers bring is committed when we hear of it; of our own we may hear before."""
        return self.views.forget(change.circle, change.added, change.dropped, settled=change.source is not None)

    async def _tell_of_peers(self) -> None:
        async with self.network.peer_events() as events:
            async for event in events:
                self.emit("peer.connected" if event.connected else "peer.disconnected", {"peer_id": event.peer})

"""An examination: what others say of a node reaches its findings, and answering such questions helps nobody against anybody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from p2pnode.config import Settings
from p2pnode.core.cid import RAW, Cid
from p2pnode.core.probe_messages import PROTOCOL, Ask, Block, Found
from p2pnode.errors import NetworkError
from p2pnode.ports import Json, Reachability
from p2pnode.services import doctor_checks as checks
from p2pnode.services.announcing import Share
from p2pnode.services.doctor import LOOK_S, Doctor, worst
from p2pnode.services.doctor_checks import Finding
from p2pnode.services.framing import receive_frame
from p2pnode.services.outbox import root_key
from p2pnode.services.probe import PROBE_BURST, PROBES_PER_S, Probes
from p2pnode.services.reachability import stand
from p2pnode.services.serve_blocks import ServeBlocks
from p2pnode.services.traffic import TrafficLimits
from tests.services.test_transfers import Sharer
from tests.support.loopback import Hub, a_hub

pytestmark = pytest.mark.trio


class Told:
    """Announcing that is done, and of which two random keys were found."""

    keys = left = 0
    next_s = None

    async def share(self) -> Share:
        return Share(3, 2, 2)


class Examined(Sharer):
    """A person whose node is examined, and answers others."""

    def __init__(self, hub: Hub, name: str, folder: Path) -> None:
        super().__init__(hub, name)
        self.said: list[tuple[str, Json]] = []
        traffic = TrafficLimits(Settings(), self.store, self.network.meter, self.clock, self.emit)
        self.reach = Reachability()
        self.back: list[int] = []
        self.doctor = Doctor(
            self.store,
            self.network,
            self.clock,
            traffic=traffic,
            sync=self,
            announced=Told(),
            standing=lambda: (self.reach, stand(self.reach, self.network.peers(), lan=True)),
            dialled_back=self.dialled_back,
            watched=lambda: 0,
            library=str(folder),
            settings=Settings(),
        )
        self.doctor.probes.start()

    async def dialled_back(self) -> int:
        """Peers find that it is reached."""
        self.back.append(3)
        self.reach = Reachability("public", 3)
        return 3

    def last_sync(self, circle: object) -> float | None:
        return None

    def emit(self, name: str, data: Json) -> None:
        self.said.append((name, data))

    async def findings(self, *, ask: bool = True) -> dict[str, Finding]:
        return {finding.check: finding for finding in await self.doctor.examine(self.emit, ask=ask)}


@asynccontextmanager
async def three(tmp_path: Path) -> AsyncIterator[tuple[Examined, Examined, Examined]]:
    """Anna, connected to Ben and Cora; she has a public work, and serves it."""
    async with a_hub() as hub:
        anna, ben, cora = (Examined(hub, name, tmp_path) for name in ("anna", "ben", "cora"))
        anna.blocks = ServeBlocks(anna.network, anna.store)  # type: ignore[attr-defined]
        anna.blocks.start()  # type: ignore[attr-defined]
        for other in (ben, cora):
            await anna.network.connect(other.network.addresses()[0])
        (tmp_path / "book").write_bytes(b"bees" * 1000)
        await anna.share(tmp_path / "book")
        yield anna, ben, cora


async def root_of(person: Sharer) -> Cid:
    return await person.store.read(lambda tx: tx.works()[0].root)


async def test_peers_fetch_a_block_find_it_and_agree_about_the_time(tmp_path: Path) -> None:
    async with three(tmp_path) as (anna, _, _):
        await anna.network.provide(root_key(await root_of(anna)))
        found = await anna.findings()
    assert found["read_back"] == Finding(
        "read_back", "good", "2 peers fetched a random block from here and found it right"
    )
    assert found["found"].words == "2 of 2 peers found a random work of yours in the DHT (100 %)"
    assert found["clock"].state == "good"
    assert found["strangers"].words == "strangers find 2 of 2 random keys of yours (100 %)"
    assert [data["check"] for name, data in anna.said if name == "doctor.finding"] == list(found)
    assert tuple(found.values()) == anna.doctor.last


async def test_a_work_that_nobody_finds_and_a_clock_that_is_wrong_are_told(tmp_path: Path) -> None:
    async with three(tmp_path) as (anna, ben, cora):
        for other in (ben, cora):
            other.doctor.probes._clock = lambda: anna.clock() + 3600
        found = await anna.findings()
    assert found["found"].state == "bad" and found["found"].words.startswith("0 of 2 peers")
    assert found["clock"].state == "bad" and found["clock"].words == "the clock is 3600 s behind 2 peers"
    assert found["clock"].hint
    assert worst(found.values()) == "bad"


async def test_a_block_that_cannot_be_fetched_is_told(tmp_path: Path) -> None:
    async with three(tmp_path) as (anna, _, _):
        root = await root_of(anna)
        await anna.store.write(lambda tx: tx.set_public(root, False))
        ask = Ask(root, root, b"")
        answer = await anna.doctor.probes.ask(anna.network.peers()[0].peer, ask)
    assert answer.block is Block.MISSING and answer.found is Found.NOT_ASKED
    assert checks.check_read_back([answer], 1, 1).state == "bad"


async def test_without_peers_it_says_what_is_not_known(tmp_path: Path) -> None:
    async with a_hub() as hub:
        found = await Examined(hub, "anna", tmp_path).findings()
    assert found["peers"].state == "bad" and "invite" in found["peers"].hint
    assert {found[name].state for name in ("read_back", "found", "clock")} == {"note"}


async def test_what_is_bad_is_known_without_asking_until_it_is_well(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with three(tmp_path) as (anna, _, _), trio.open_nursery() as nursery:
        assert anna.doctor.health() is None
        monkeypatch.setattr(anna.store, "free_bytes", lambda: 17)
        nursery.start_soon(anna.doctor.run)
        await trio.sleep(LOOK_S + 60)
        bad = anna.doctor.health()
        assert bad is not None and bad.check == "disk" and bad.hint
        assert PROTOCOL not in {protocol for _, protocol in anna.network.opened}, "nobody was asked"
        anna.doctor._settings = Settings(floor_bytes=0)
        await trio.sleep(LOOK_S + 60)
        assert anna.doctor.health() is None
        nursery.cancel_scope.cancel()


async def test_peers_dial_back_before_it_is_said_how_this_node_is_reached(tmp_path: Path) -> None:
    async with three(tmp_path) as (one, _, _):
        assert (await one.findings(ask=False))["reach"].words.endswith("by himself yet")
        assert one.back == []
        assert (await one.findings())["reach"].words.endswith("(3 peers dialled back)")
        assert one.back == [3]


async def test_no_peer_is_asked_when_only_what_is_here_is_wanted(tmp_path: Path) -> None:
    async with three(tmp_path) as (anna, _, _):
        found = await anna.findings(ask=False)
        assert not {"read_back", "found", "clock"} & found.keys()
        assert PROTOCOL not in {protocol for _, protocol in anna.network.opened}


async def test_a_peer_that_asks_again_and_again_is_told_busy_and_costs_nothing(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with three(tmp_path) as (anna, ben, _):
        root, peer = await root_of(anna), ben.network.peer_id
        ask = Ask(root, root, root_key(root))
        probes = anna.doctor.probes
        answers = [await probes.ask(peer, ask) for _ in range(PROBE_BURST + 2)]
        fetches = [opened for opened in ben.network.opened if opened[1] == "/p2pnode/fetch/1"]
        assert [answer.block for answer in answers[PROBE_BURST:]] == [Block.BUSY] * 2
        assert [answer.found for answer in answers[PROBE_BURST:]] == [Found.BUSY] * 2
        assert len(fetches) == PROBE_BURST
        await trio.sleep(1 / PROBES_PER_S)
        assert (await probes.ask(peer, ask)).block is Block.FETCHED


async def test_who_answers_rubbish_or_nothing_says_nothing_of_us(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with three(tmp_path) as (anna, ben, cora):

        async def rubbish(stream: object) -> None:
            await stream.send_all(b"\0\0\0\3abc")  # type: ignore[attr-defined]

        async def silence(stream: object) -> None:
            await receive_frame(stream, 1000)  # type: ignore[arg-type]
            await trio.sleep_forever()

        ben.network.serve(PROTOCOL, rubbish)
        cora.network.serve(PROTOCOL, silence)
        found = await anna.findings()
        with pytest.raises(NetworkError):
            await anna.doctor.probes.ask(ben.network.peer_id, Ask())
    assert found["read_back"].state == "note" and found["clock"].state == "note"


async def test_a_false_block_is_called_false(tmp_path: Path) -> None:
    async with three(tmp_path) as (anna, ben, _):

        async def lie(stream: object) -> None:
            await receive_frame(stream, 100_000)  # type: ignore[arg-type]
            await stream.send_all(b"\0\0\0\0\4lies")  # type: ignore[attr-defined]

        anna.network.serve("/p2pnode/fetch/1", lie)
        cid = Cid.of(RAW, b"truth")
        answer = await anna.doctor.probes.ask(ben.network.peer_id, Ask(cid, cid))
    assert answer.block is Block.FALSE


async def test_while_works_wait_for_a_budget_no_block_is_fetched_for_others(tmp_path: Path) -> None:
    class Waiting:
        def waiting_reason(self) -> str | None:
            return "the hour's budget is used up"

        async def allowed(self) -> None: ...

    async with three(tmp_path) as (anna, ben, _):
        busy = Probes(ben.network, ben.clock, Waiting())
        busy.start()
        root = await root_of(anna)
        answer = await anna.doctor.probes.ask(ben.network.peer_id, Ask(root, root))
    assert answer.block is Block.BUSY

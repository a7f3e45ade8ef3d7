"""A circle over its cap: bodies go, ids stay, and a node that pruned agrees with one that did not, again and again."""

from __future__ import annotations

import random

import pytest
import trio
import trio.testing

from p2pnode.core.admission import Caps
from p2pnode.core.charter import Charter
from p2pnode.core.ids import RecordId
from p2pnode.core.pruning import Needs, to_prune
from p2pnode.core.record import BALLOT, Record
from p2pnode.core.verdict import CircleView
from p2pnode.services.pruning import Pruning, lacking
from p2pnode.services.views import Views
from tests.support.circle_nodes import CircleNode, pseudonym_of, until_same
from tests.support.circles import DAY_S, NOON, Circle, Node, history
from tests.support.loopback import Hub, a_hub

ANN, BOB = pseudonym_of("ann"), pseudonym_of("bob")
CAP = 100


async def stored(node: Node) -> dict[RecordId, Record]:
    found = await node.store.read(lambda tx: tx.records(node.circle.id, stubs=True))
    return {record.id: record for record in found}


async def stubs(node: Node) -> set[RecordId]:
    return {id for id, record in (await stored(node)).items() if record.is_stub}


def pruning(node: CircleNode, cap: int = CAP) -> Pruning:
    views = Views(node.store, lambda: node.now)
    node.admission.watch(lambda change: views.forget(change.circle))
    return Pruning(node.store, node.admission, views, node.me, cap=cap)


async def full(hub: Hub, name: str = "ann") -> tuple[CircleNode, Circle, Record]:
    """A circle of two members with ten questions, on which both voted, and 150 ballots on questions that nobody asked."""
    circle = Circle("ann", key_of=pseudonym_of)
    node = await (await CircleNode(hub, name, circle).join()).start(hub.nursery)  # type: ignore[attr-defined]
    asked = [circle.proposal(ANN, b"work %d" % number) for number in range(10)]
    await node.admit(circle.vouch(ANN, BOB), *asked)
    await node.admit(*(circle.ballot(one, question.target) for one in (ANN, BOB) for question in asked))
    await node.admit(*(circle.ballot(one, b"nobody asked %d" % n) for one in (ANN, BOB) for n in range(75)))
    return node, circle, asked[0]


@pytest.mark.trio
async def test_over_the_cap_bodies_go_that_change_no_verdict_and_ids_stay() -> None:
    async with a_hub() as hub:
        node, circle, asked = await full(hub)
        before = await stored(node)
        view = CircleView(Charter.of(circle.charter), before.values(), NOON // DAY_S)
        assert await pruning(node).prune(circle.id) == len(before) + 1 - CAP + CAP // 20
        assert (await stored(node)).keys() == before.keys()
        held = await node.admission.circle_set(circle.id)
        assert (len(held), held.whole) == (len(before) + 1, CAP - CAP // 20)
        gone = [before[id] for id in await stubs(node)]
        assert {record.kind for record in gone} == {BALLOT}
        after = CircleView(Charter.of(circle.charter), (await stored(node)).values(), NOON // DAY_S)
        for question in view.questions():
            assert after.explain(question.question.id) == view.explain(question.question.id)
        assert await node.store.read(lambda tx: lacking(tx, circle.id, asked.target)) == 0  # type: ignore[arg-type]
        assert await pruning(node).prune(circle.id) == 0


@pytest.mark.trio
async def test_below_the_cap_nothing_is_counted_and_nothing_goes() -> None:
    async with a_hub() as hub:
        node, circle, _ = await full(hub)
        assert await pruning(node, cap=1000).prune(circle.id) == 0
        assert await stubs(node) == set()


@pytest.mark.trio
async def test_a_verdict_that_lacks_bodies_says_how_many() -> None:
    async with a_hub() as hub:
        node, circle, asked = await full(hub)
        await pruning(node, cap=2).prune(circle.id)
        bodies = {record.kind for record in (await stored(node)).values() if not record.is_stub}
        assert bodies == {"vouch", "proposal"}, "what members rest on goes never, questions last"
        assert await node.store.read(lambda tx: lacking(tx, circle.id, asked.target)) == 2  # type: ignore[arg-type]


@pytest.mark.trio
async def test_nodes_let_go_of_different_bodies() -> None:
    circle = Circle("ann", key_of=pseudonym_of)
    ballots = [circle.ballot(ANN, b"%d" % n) for n in range(100)]
    needs = Needs(frozenset(), frozenset(), frozenset())
    mine, yours = (set(to_prune(ballots, needs, one.public, 50)) for one in (ANN, BOB))
    assert 10 < len(mine & yours) < 40


@pytest.mark.trio
async def test_a_node_prunes_by_itself(autojump_clock: trio.testing.MockClock) -> None:
    async with a_hub() as hub:
        node, circle, _ = await full(hub)
        hub.nursery.start_soon(pruning(node).run)
        await trio.sleep(1)
        await node.admit(circle.ballot(ANN, b"one more"))
        await trio.sleep(60)
        assert (await node.admission.circle_set(circle.id)).whole <= CAP


@pytest.mark.trio
async def test_a_newer_ballot_replaces_one_whose_body_is_gone_and_an_equal_number_voids_it() -> None:
    async with a_hub() as hub:
        node, circle, _ = await full(hub)
        old = circle.ballot(BOB, b"q", "approve", counter=900)
        await node.admit(old)
        await node.admission.strip(circle.id, [old.id])
        assert await node.admit(old) is not None
        assert old.id in await stubs(node), "what was let go of is not taken back"
        twin = circle.ballot(BOB, b"q", "reject", counter=900)
        await node.admit(twin)
        view = CircleView(Charter.of(circle.charter), (await stored(node)).values(), NOON // DAY_S)
        assert [ballot.choice for ballot in view.ballots(old.target)] == ["void"]  # type: ignore[arg-type]
        newer = circle.ballot(BOB, b"q", "reject", counter=901)
        await node.admit(newer)
        held = await stored(node)
        assert newer.id in held and old.id not in held and twin.id not in held
        assert (await node.admission.circle_set(circle.id)).stubs == 0


@pytest.mark.trio
async def test_own_records_keep_their_bodies() -> None:
    async with a_hub() as hub:
        node, circle, _ = await full(hub)
        mine = circle.ballot(ANN, b"mine")
        await node.write(mine)
        assert await node.admission.strip(circle.id, [mine.id]) == 0
        assert await stubs(node) == set()


@pytest.mark.trio
async def test_a_pruned_and_a_full_node_sync_again_and_again_at_the_price_of_equal_sets(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with a_hub() as hub:
        node, circle, _ = await full(hub)
        bob = await (await CircleNode(hub, "bob", circle).join()).start(hub.nursery)  # type: ignore[attr-defined]
        await bob.network.connect(node.network.addresses()[0])
        await until_same(node, bob)
        await pruning(node).prune(circle.id)
        await trio.sleep(60)
        for one, other in ((node, bob), (bob, node)) * 3:
            sessions = len(hub.links)
            assert await one.sync.sync_with(other.peer, circle.id)
            assert hub.links[sessions].bytes <= 375
            await trio.sleep(6)
        assert len(await stubs(node)) > 50 and await stubs(bob) == set()


@pytest.mark.trio
async def test_a_newcomer_who_meets_only_a_pruned_node_asks_once_and_then_rarely(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with a_hub() as hub:
        node, circle, _ = await full(hub)
        await pruning(node).prune(circle.id)
        missing = await stubs(node)
        bob = await CircleNode(hub, "bob", circle).join(charter=False)
        await bob.start(hub.nursery)  # type: ignore[attr-defined]
        await bob.network.connect(node.network.addresses()[0])
        await trio.sleep(10)
        assert (await stored(bob)).keys() == (await stored(node)).keys() - missing
        assert bob.sync.is_provisional(circle.id), "what is missing may change what we say"
        sessions = len(hub.links)
        await trio.sleep(3600)
        spent = sum(link.bytes for link in hub.links[sessions:])
        assert spent < 6 * (64 * len(missing) + 2000), "they ask for the same again and again"


@pytest.mark.trio
@pytest.mark.parametrize("seed", range(6))
async def test_caps_of_authors_converge_between_pruned_and_full_nodes(
    seed: int, autojump_clock: trio.testing.MockClock
) -> None:
    rng = random.Random(seed)
    circle = Circle("ann", key_of=pseudonym_of)
    records = history(circle, rng)
    caps = Caps(registers=6, permanents=3)
    async with a_hub() as hub:
        nodes = [CircleNode(hub, name, circle, caps=caps) for name in ("ann", "bob", "cat")]
        for node in nodes:
            await node.join(charter=False)
            await node.start(hub.nursery)
        for at in range(0, len(records), 10):  # a part comes, something is pruned, the next part comes
            for node in nodes[:2]:
                await node.admit(*rng.sample(records[: at + 10], len(records[: at + 10])))
            inside = [id for id, one in (await stored(nodes[0])).items() if one.kind != "charter"]
            await nodes[0].admission.strip(circle.id, rng.sample(sorted(inside), len(inside) // 3))
        assert (await stored(nodes[0])).keys() == (await stored(nodes[1])).keys()
        assert len(await stubs(nodes[0])) > 3

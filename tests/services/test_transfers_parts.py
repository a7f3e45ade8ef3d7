"""Parts, pauses and readers of transfers: what was chosen comes alone, the rest as a difference, and every state says why."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import trio

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import WorkId, id_text, parse_id
from p2pnode.core.manifest import describe, first
from p2pnode.core.records import seq_of
from p2pnode.errors import NotFoundError, RefusedError, TimedOutError, UsageError
from p2pnode.ports import Json, Tx
from p2pnode.services.catalogue import put_manifest
from p2pnode.services.reading import READ_AHEAD_BYTES, Reading
from p2pnode.services.selection import both, selection
from p2pnode.services.transfer import Transfer
from p2pnode.services.wanted import Remembered
from tests.services.test_transfers import Sharer, a_book, two, until
from tests.support.people import NOON

pytestmark = pytest.mark.trio
MIB = 1 << 20


def _folder(path: Path) -> Path:
    rng = random.Random(5)
    (path / "work" / "sub" / "deep").mkdir(parents=True)
    (path / "work" / "big").write_bytes(rng.randbytes(20 * MIB))
    (path / "work" / "sub" / "a").write_bytes(rng.randbytes(100_000))
    (path / "work" / "sub" / "deep" / "b").write_bytes(b"b" * 100)
    (path / "work" / "other").write_bytes(rng.randbytes(2 * MIB))
    return path / "work"


def _given(sharer: Sharer) -> int:
    """Bytes that went over all streams so far."""
    return sum(link.bytes for link in sharer.network._hub.links)


async def test_what_was_chosen_comes_alone_and_the_rest_as_a_difference(tmp_path: Path) -> None:
    async with two() as (anna, ben, _):
        anna.serve()
        published = await anna.share(_folder(tmp_path))
        answer = await ben.get(published["work"], only=("sub",))
        assert (answer["only"], answer["state"]) == (["sub"], "partial")
        shown = ben.transfers.shown()[0]
        assert (shown["bytes"], shown["total"], shown["only"]) == (100_100, 100_100, ["sub"])
        assert _given(ben) < MIB
        work = await ben.store.read(lambda tx: tx.work(WorkId(parse_id("w", published["work"]))))
        assert work is not None and work.state == "kept"
        assert await ben.store.read(lambda tx: tx.pinned(work.root))
        assert await ben.store.read(lambda tx: tx.held_bytes(work.root)) == 100_100
        await ben.get(published["work"], tmp_path / "copy", only=("sub/deep", "other"))
        assert (tmp_path / "copy" / "other").stat().st_size == 2 * MIB
        assert (tmp_path / "copy" / "sub" / "deep" / "b").read_bytes() == b"b" * 100
        assert not (tmp_path / "copy" / "big").exists()
        before = _given(ben)
        answer = await ben.get(published["work"])
        assert answer["bytes"] == 22 * MIB + 100_100 and "only" not in answer
        assert _given(ben) - before < 20.5 * MIB, "what was here came again"
        with pytest.raises(NotFoundError, match="no 'nope'"):
            await ben.get((await anna.share(a_book(tmp_path)))["cid"], only=("nope",))


async def test_choosing_is_cleaned_and_bounded() -> None:
    assert selection(["./a//b/", "a/b", "c"]) == ("a/b", "c")
    assert selection(["a", "."]) is None and selection([]) == ()
    assert both(("a",), ("b", "a")) == ("a", "b") and both(("a",), None) is None
    with pytest.raises(UsageError):
        selection(["../a"])
    with pytest.raises(UsageError):
        selection([str(number) for number in range(1000)])


async def test_a_pause_outlives_a_restart_and_what_came_is_not_fetched_again(tmp_path: Path) -> None:
    async with two() as (anna, ben, nursery):
        published = await anna.share(_folder(tmp_path))
        async with trio.open_nursery() as run:
            stopped = ben.new_transfers()
            await stopped.start(run)
            with pytest.raises(TimedOutError):
                await stopped.get(
                    published["work"], None, on_progress=lambda shown: None, timeout_s=0.05, only=("sub",)
                )
            [shown] = stopped.shown()
            await stopped.pause(shown["transfer"])
            await until(lambda: stopped.shown()[0]["state"] == "paused")
            assert stopped.shown()[0]["reason"] == "paused by you"
            root = Cid.parse(published["cid"])
            assert stopped.is_running(root) and stopped.fetching(root) is None
            run.cancel_scope.cancel()
        anna.serve()
        restarted = ben.new_transfers()
        await restarted.start(nursery)
        await trio.sleep(0.1)
        [shown] = restarted.shown()
        assert (shown["state"], shown["only"]) == ("paused", ["sub"])
        with pytest.raises(RefusedError, match="paused"):
            async with Reading(ben.store, restarted).open(root):
                pass
        await restarted.resume(shown["transfer"])
        await until(lambda: restarted.shown()[0]["state"] == "done")
        assert restarted.shown()[0]["reason"] == "what was chosen is complete, from 1 provider"
        assert await ben.store.read(lambda tx: tx.meta_with_prefix("wanted/")) == []


async def test_who_asks_again_for_what_is_paused_goes_on_and_a_paused_one_can_be_cancelled(tmp_path: Path) -> None:
    async with two() as (anna, ben, _):
        published = await anna.share(a_book(tmp_path))
        with pytest.raises(TimedOutError):
            await ben.get(published["work"], timeout_s=0.05)
        transfer = ben.transfers.shown()[0]["transfer"]
        await ben.transfers.pause(transfer)
        await ben.transfers.pause(transfer)
        anna.serve()
        assert (await ben.get(published["work"]))["bytes"] == 2_500_100
        published = await anna.share(_folder(tmp_path))
        anna.network.online = False
        with pytest.raises(TimedOutError):
            await ben.get(published["cid"], timeout_s=0.05)
        transfer = ben.transfers.shown()[0]["transfer"]
        await ben.transfers.pause(transfer)
        await ben.transfers.cancel(transfer)
        assert ben.transfers.shown()[0]["state"] == "cancelled"


async def test_a_manifest_with_a_false_size_fails_nobody_else(tmp_path: Path) -> None:
    async with two() as (anna, ben, _):
        published = await anna.share(a_book(tmp_path))
        fields = describe(title="A leaflet", root=Cid.parse(published["cid"]), bytes=1000, files=2)

        def write(tx: Tx) -> str:
            record = first(anna.me.profile, fields, nonce=bytes(16), seq=seq_of(int(NOON), 99), created=int(NOON))
            row = put_manifest(tx, record, state="own", private=False, added=NOON)
            assert row is not None
            return id_text("w", row.id)

        leaflet = await anna.store.write(write)
        got: list[Json] = []
        failed: list[RefusedError] = []

        async def get(what: str) -> None:
            try:
                got.append(await ben.get(what))
            except RefusedError as error:
                failed.append(error)

        async with trio.open_nursery() as both_of_them:
            both_of_them.start_soon(get, leaflet)
            await until(lambda: ben.transfers.shown())
            both_of_them.start_soon(get, published["work"])
            await trio.sleep(0.05)
            anna.serve()
        assert [answer["bytes"] for answer in got] == [2_500_100]
        assert "at most 1000" in failed[0].message
        works = await ben.store.read(lambda tx: tx.works(states=("kept",)))
        assert [work.title for work in works] == ["Wild Bees"], "the false one is not kept"


# ------------------------------------------------------------ reading


async def test_a_reader_gets_its_bytes_and_only_they_come(tmp_path: Path) -> None:
    async with two() as (anna, ben, _):
        anna.serve()
        folder = _folder(tmp_path)
        published = await anna.share(folder)
        root, big = Cid.parse(published["cid"]), (folder / "big").read_bytes()
        reading = Reading(ben.store, ben.transfers)
        async with reading.open_file(root, "big") as file:
            parts = [part async for part in file.read_range(3 * MIB + 5, 2 * MIB)]
            assert b"".join(parts) == big[3 * MIB + 5 : 5 * MIB + 5]
            assert _given(ben) < 2 * MIB + READ_AHEAD_BYTES + 2 * MIB
            assert ben.transfers.shown()[0]["mode"] == "read"
            before = _given(ben)
            again = b"".join([part async for part in file.read_range(3 * MIB + 5, 2 * MIB)])
            assert again == big[3 * MIB + 5 : 5 * MIB + 5] and _given(ben) - before < 10_000
        await until(lambda: ben.transfers.shown()[0]["state"] == "done")
        assert await ben.store.read(lambda tx: tx.held_bytes(root)) >= 3 * MIB
        before = _given(ben)
        await ben.get(published["work"])
        assert _given(ben) - before < 20 * MIB, "what was read came again"
        async with reading.open_file(root, "big") as file:
            assert b"".join([part async for part in file.read_range()]) == big


async def test_a_reader_and_a_get_share_one_transfer_and_a_reader_that_goes_stops_what_it_wanted(
    tmp_path: Path,
) -> None:
    async with two() as (anna, ben, _):
        folder = _folder(tmp_path)
        published = await anna.share(folder)
        root = Cid.parse(published["cid"])
        reading = Reading(ben.store, ben.transfers)
        anna.serve()
        async with reading.open_file(root, "big") as file:
            parts = file.read_range()
            first_part = await anext(parts)
            answer = await ben.get(published["work"], only=("sub",))
            assert answer["state"] == "partial"
            assert len(ben.transfers.shown()) == 1
            await parts.aclose()
        assert (folder / "big").read_bytes().startswith(first_part)
        await until(lambda: ben.transfers.shown()[0]["state"] == "done")
        assert ben.transfers.fetching(root) is None
        assert await ben.store.read(lambda tx: tx.held_bytes(root)) < 15 * MIB


# ------------------------------------------------------------ words


async def test_the_words_of_waiting_say_since_when_who_was_seen_and_what_is_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1_795_400_000.0]
    monkeypatch.setattr(trio, "current_time", lambda: now[0])
    transfer = Transfer("t-1", Cid.of(RAW, b""), clock=lambda: now[0], limited=lambda: "limited to 1 MB/s until 07:00")
    transfer.waiting("nobody is known to have it", 40.0)
    assert "waiting for providers since " in transfer.reason() and "next try in 40 s" in transfer.reason()
    assert "seen" not in transfer.reason() and transfer.json()["next_try"] == now[0] + 40
    transfer.say("fetching", "from one provider")
    assert transfer.reason() == "from one provider, limited to 1 MB/s until 07:00"
    assert transfer.json()["limited"] == "limited to 1 MB/s until 07:00"
    transfer.arrived(10)
    transfer.waiting("it went", None)
    assert "last seen at " in transfer.reason()
    now[0] += 86_400
    assert "last seen yesterday" in transfer.reason() and "since yesterday " in transfer.reason()
    now[0] += 400 * 86_400
    assert "last seen on " in transfer.reason()
    assert transfer.json()["next_try"] is None


async def test_what_is_remembered_of_a_transfer_is_read_again_and_rubbish_is_refused() -> None:
    for value in (
        Remembered((WorkId(bytes(32)),), True, ("a", "b"), True, 5.0),
        Remembered((), True, None, False, None),
    ):
        assert Remembered.from_bytes(value.to_bytes()) == value
    assert Remembered.from_bytes(b'{"work": null}').by_cid, "as the first version wrote it"
    for rubbish in (b"", b"[]", b"{}", b'{"works": [1]}', b'{"works": ["w-x"]}', b'{"works": [], "last_seen": "x"}'):
        with pytest.raises(Exception, match="cannot be read"):
            Remembered.from_bytes(rubbish)

"""The catalogue and its search: the contract of both stores."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.ids import prefix_range
from p2pnode.ports import Tx, Work
from p2pnode.store.fulltext import match_expression
from p2pnode.store.memory import MemoryStore
from p2pnode.store.node_store import NodeStore
from p2pnode.store.tx_works import WorkRows
from tests.store.samples import Clock, record, titles, work


async def put(store: NodeStore, *works: Work, summary: str = "", tags: tuple[str, ...] = ()) -> None:
    def all_of(tx: Tx) -> None:
        for one in works:
            tx.put_work(one, summary=summary, tags=tags, words=["tale"])

    await store.write(all_of)


async def found(store: NodeStore, text: str, *, public_only: bool = False) -> list[str]:
    return titles(await store.read(lambda tx: tx.search(text, limit=50, public_only=public_only)))


@pytest.mark.trio
async def test_a_work_comes_back_as_it_was_put(store: NodeStore) -> None:
    one = work("Ænima — 名前", creators=("Zoë", 'a "b"\nc'), private=True, bytes=2**53 - 1)
    await put(store, one)
    held = await store.read(lambda tx: tx.work(one.id))
    assert held == one
    assert held is not None and held.manifest.body == one.manifest.body
    revised = replace(one, title="Other", manifest=record("manifest", counter=9), state="kept")
    await put(store, revised)
    assert await store.read(lambda tx: tx.work(one.id)) == revised
    assert await found(store, "Ænima") == []
    assert await found(store, "other") == ["Other"]
    assert await store.read(lambda tx: tx.count_works()) == 1


@pytest.mark.trio
async def test_works_are_listed_latest_first_and_counted_by_state(store: NodeStore) -> None:
    mine, kept = work("mine", number=1), work("kept", number=2, state="kept")
    heard = work("heard", number=3, state="heard")
    await put(store, mine, kept, heard)
    assert titles(await store.read(lambda tx: tx.works())) == ["kept", "mine"]
    assert titles(await store.read(lambda tx: tx.works(limit=1, offset=1))) == ["mine"]
    assert titles(await store.read(lambda tx: tx.works(states=["heard"]))) == ["heard"]
    assert await store.read(lambda tx: tx.count_works()) == 2
    await store.write(lambda tx: tx.set_work_state(heard.id, "kept"))
    assert await store.read(lambda tx: tx.count_works()) == 3
    await store.write(lambda tx: tx.drop_work(mine.id))
    assert await store.read(lambda tx: tx.work(mine.id)) is None
    assert await found(store, "mine") == []


@pytest.mark.trio
async def test_works_are_found_by_root_and_short_id(store: NodeStore) -> None:
    one, other = work("one", number=1), work("two", number=2)
    same = work("three", number=3, root=one.root)
    await put(store, one, other, same)
    assert titles(await store.read(lambda tx: tx.works_with_root(one.root))) == ["one", "three"]
    assert await store.read(lambda tx: tx.works_with_root(Cid.of(RAW, b"?"))) == []
    assert titles(await store.read(lambda tx: tx.find_works(one.id, one.id))) == ["one"]
    assert len(await store.read(lambda tx: tx.find_works(*prefix_range("")))) == 3


@pytest.mark.trio
async def test_search_wants_every_word_as_a_prefix_without_case_and_accents(store: NodeStore) -> None:
    await put(
        store, work("Les Misérables", creators=("Victor Hugo",)), summary="Paris, 1832", tags=("roman", "classic")
    )
    await put(store, work("Notre-Dame de Paris", number=1, creators=("Victor Hugo",)))
    await put(store, work("Straße_und Γλώσσα", number=2))
    assert await found(store, "miserables") == ["Les Misérables"]
    assert await found(store, "MISÉR hug") == ["Les Misérables"]
    assert await found(store, "misérables dame") == []
    assert await found(store, "roman 1832") == ["Les Misérables"]
    assert await found(store, "notre-dame") == ["Notre-Dame de Paris"]
    assert await found(store, "dame notre") == ["Notre-Dame de Paris"]
    assert await found(store, "paris") == ["Notre-Dame de Paris", "Les Misérables"]  # a title outweighs a summary
    assert await found(store, "und γλωσσα") == ["Straße_und Γλώσσα"]
    assert await found(store, "STRASSE") == ["Straße_und Γλώσσα"]
    assert len(await store.read(lambda tx: tx.search("hugo", limit=1))) == 1


@pytest.mark.trio
async def test_private_works_are_hidden_from_strangers(store: NodeStore) -> None:
    await put(store, work("tale one"), work("tale two", number=1, private=True))
    assert sorted(await found(store, "tale")) == ["tale one", "tale two"]
    assert await found(store, "tale", public_only=True) == ["tale one"]


HOSTILE = {
    "quote": '"', "apostrophe": "'", "operators": "a OR", "not": "NOT", "column": "title:x", "bracket": "a* AND (",
    "near": "NEAR(a b", "first": "^a", "columns": "{title}: a", "nul": "\0", "nul-inside": "a\0b", "surrogate": "\ud800",
    "minus": "-", "percent": "%", "empty": "", "blank": "   ", "long-word": "x" * 100_000, "many-words": "a " * 10_000,
}  # fmt: skip


@pytest.mark.trio
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_no_query_text_is_an_error(store: NodeStore, text: str) -> None:
    await put(store, work("quiet", creators=("Zoe",)))
    assert await found(store, text) == []


@given(st.text(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_is_a_query_that_sqlite_takes(text: str) -> None:
    import sqlite3

    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE t USING fts5 (a, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3')")
    db.execute("INSERT INTO t VALUES ('some words')")
    expression = match_expression(text)
    if expression is not None:
        db.execute("SELECT * FROM t WHERE t MATCH ?", (expression,)).fetchall()


@pytest.mark.trio
async def test_heard_works_are_bounded_and_own_ones_never_make_room(
    store: NodeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WorkRows, "max_heard_works", 3)
    await put(store, work("own", number=0), work("kept", number=1, state="kept"))
    await put(store, *(work(f"heard {n}", number=n, state="heard") for n in (5, 2, 3, 4, 6)))
    listed = await store.read(lambda tx: tx.works(states=["own", "kept", "heard"]))
    assert titles(listed) == ["heard 6", "heard 5", "heard 4", "kept", "own"]
    await store.write(lambda tx: tx.set_work_state(listed[0].id, "kept"))
    await put(store, work("heard 7", number=7, state="heard"))
    assert len(await store.read(lambda tx: tx.works(states=["heard"]))) == 3
    assert await found(store, "heard 2") == []


@pytest.mark.trio
async def test_the_words_of_a_work_are_kept(clock: Clock) -> None:
    store = MemoryStore(clock)
    await put(store, one := work())
    assert await store.read_rows(lambda tx, _: tx.work_words(one.id)) == ["tale"]
    assert await store.read_rows(lambda tx, _: tx.work_words(work("none").id)) == []

"""Verifiable answers per the trustless gateway specification: blocks, archives, their scopes, ranges and headers."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import trio

from p2pnode.core.car import decode_header, decode_section
from p2pnode.core.cid import RAW, Cid
from p2pnode.core.dag import verify_block
from p2pnode.core.dagpb import decode_node
from p2pnode.local.car_file import CarFile
from p2pnode.services.car_export import export_car
from tests.gateway.conftest import Answer, Opened, opened
from tests.support.contents import hold, many_files
from tests.support.dags import Dag, Tree, build

pytestmark = pytest.mark.trio

DATA = random.Random(1).randbytes(5_000_000)
TREE: Tree = {"d": {"big": DATA, "small": b"hi"}, "e": b"hi"}
PROBE = "bafkqaaa"


async def ask(gateway: Opened, path: str, **headers: Any) -> Answer:
    return await gateway.ask(path, Authorization=f"Bearer {gateway.token}", **headers)


def sections(body: bytes) -> list[Cid]:
    """The CIDs of an archive in their order, every block of it verified."""
    _, at = decode_header(body)
    found = []
    while at < len(body):
        section = decode_section(body[at:])
        assert verify_block(section.cid, body[at + section.start : at + section.end])
        found.append(section.cid)
        at += section.end
    assert len(found) == len(set(found)), "dups=n"
    return found


def child(dag: Dag, cid: Cid, name: bytes) -> Cid:
    return next(link.cid for link in decode_node(dag.interior[cid]).links if link.name == name)


async def test_a_block() -> None:
    dag = build(TREE)
    async with opened() as gateway:
        await hold(gateway.store, dag)
        for answer in (
            await ask(gateway, f"/ipfs/{dag.root}?format=raw"),
            await ask(gateway, f"/ipfs/{dag.root}", Accept="application/vnd.ipld.raw"),
            await gateway.ask(f"/{gateway.token}/ipfs/{dag.root}?format=raw"),
        ):
            assert (answer.status, answer.body) == (200, dag.interior[dag.root])
            assert answer.headers["content-type"] == "application/vnd.ipld.raw"
            assert f'filename="{dag.root}.bin"' in answer.headers["content-disposition"]
            assert answer.headers["content-disposition"].startswith("attachment")
            assert answer.headers["etag"] == f'"{dag.root}.raw"'
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-ipfs-path"] == f"/ipfs/{dag.root}"
        by_header = await ask(gateway, f"/ipfs/{dag.root}?a=b", Accept="application/vnd.ipld.raw")
        assert by_header.headers["content-location"] == "?a=b&format=raw"
        assert (await ask(gateway, f"/ipfs/{dag.root}?format=raw", If_None_Match=f'"{dag.root}.raw"')).status == 304
        assert (await ask(gateway, f"/ipfs/{Cid.of(RAW, b'nothing')}?format=raw")).status == 404
        assert (await ask(gateway, f"/ipfs/{dag.root}/d?format=raw")).status == 400
        assert (await ask(gateway, "/ipfs/nonsense?format=raw")).status == 400
        assert (await ask(gateway, f"/ipfs/{dag.root}?format=tar")).status == 400


async def test_only_what_is_here_if_that_is_asked_for() -> None:
    dag = build(b"here")
    async with opened() as gateway:
        await hold(gateway.store, dag)
        for root, status in ((dag.root, 200), (Cid.of(RAW, b"elsewhere"), 412)):
            for query in ("", "?format=raw", "?format=car"):
                answer = await ask(gateway, f"/ipfs/{root}{query}", Cache_Control="only-if-cached")
                assert answer.status == status, (query, answer.body)


async def test_the_probe() -> None:
    async with opened() as gateway:
        block = await ask(gateway, f"/ipfs/{PROBE}?format=raw")
        assert (block.status, block.body) == (200, b"")
        car = await ask(gateway, f"/ipfs/{PROBE}", Accept="application/vnd.ipld.car")
        assert car.status == 200 and sections(car.body) == []


async def test_a_whole_archive_is_what_export_writes(tmp_path: Path) -> None:
    dag = build(TREE)
    async with opened() as gateway:
        await hold(gateway.store, dag)
        await export_car(gateway.store, dag.root, str(tmp_path / "a.car"), on_progress=lambda progress: None)
        answer = await ask(gateway, f"/ipfs/{dag.root}?format=car")
        assert answer.status == 200
        assert answer.body == await trio.Path(tmp_path / "a.car").read_bytes()
        assert answer.headers["content-type"] == "application/vnd.ipld.car; version=1; order=dfs; dups=n"
        assert f'filename="{dag.root}.car"' in answer.headers["content-disposition"]
        assert answer.headers["etag"].startswith('W/"')
        assert (await ask(gateway, f"/ipfs/{dag.root}?format=car", If_None_Match=answer.headers["etag"])).status == 304
        with CarFile(str(tmp_path / "a.car")) as car:
            assert car.roots == (dag.root,)


async def test_scopes() -> None:
    dag = build(dict(TREE) | {"many": many_files(6000, size=3)})
    folder = child(dag, dag.root, b"d")
    big = child(dag, folder, b"big")
    leaves = [link.cid for link in decode_node(dag.interior[big]).links]
    shards = sum(1 for _ in dag.interior) - 3
    async with opened() as gateway:
        await hold(gateway.store, dag)

        async def got(path: str, query: str) -> list[Cid]:
            answer = await ask(gateway, f"/ipfs/{dag.root}{path}?format=car&{query}")
            assert answer.status == 200, answer.body
            return sections(answer.body)

        assert await got("", "dag-scope=block") == [dag.root]
        assert await got("", "dag-scope=entity") == [dag.root]
        assert await got("/d/big", "dag-scope=block") == [dag.root, folder, big]
        assert await got("/d/big", "dag-scope=entity") == [dag.root, folder, big, *leaves]
        assert await got("/d/big", "") == [dag.root, folder, big, *leaves]
        assert await got("/d", "dag-scope=all") == [dag.root, folder, big, *leaves, Cid.of(RAW, b"hi")]
        assert await got("/e", "dag-scope=entity") == [dag.root, Cid.of(RAW, b"hi")]
        assert len(await got("/many", "dag-scope=entity")) == 1 + shards, "every shard is needed to list it"
        one = await got("/many/file%200042", "dag-scope=entity")
        assert 3 <= len(one) <= 6, "of a sharded folder only the shards on the way"
        for path, query, wanted in [
            ("/d/big", "entity-bytes=0:*", leaves),
            ("/d/big", "entity-bytes=0:0", leaves[:1]),
            ("/d/big", "entity-bytes=1048575:1048576", leaves[:2]),
            ("/d/big", "entity-bytes=-1:*", leaves[-1:]),
            ("/d/big", "entity-bytes=2097152:-1048576", leaves[2:4]),
            ("/d/big", "entity-bytes=4999999:9999999", leaves[-1:]),
            ("/d/big", "entity-bytes=-9999999:0", leaves[:1]),
        ]:
            assert await got(path, query) == [dag.root, folder, big, *wanted], query
        assert await got("/d", "entity-bytes=0:5") == [dag.root, folder], "a folder has no bytes"
        tags = {
            (await ask(gateway, f"/ipfs/{dag.root}/d/big?format=car&{query}")).headers["etag"]
            for query in (
                "dag-scope=block",
                "dag-scope=entity",
                "dag-scope=all",
                "entity-bytes=0:1",
                "entity-bytes=0:2",
            )
        }
        assert len(tags) == 5


@pytest.mark.parametrize(
    ("query", "accept", "status"),
    [
        ("dag-scope=some", "", 400),
        ("entity-bytes=x:y", "", 400),
        ("entity-bytes=9999999:*", "", 400),
        ("car-version=2", "", 406),
        ("car-order=foo", "", 406),
        ("car-dups=y", "", 406),
        ("", "application/vnd.ipld.car; version=2", 406),
        ("", "application/vnd.ipld.car; version=1; order=dfs; dups=n", 200),
        ("car-dups=n", "application/vnd.ipld.car; dups=y", 200),
        ("", "text/html, application/vnd.ipld.car;order=unk", 200),
    ],
)
async def test_variants(query: str, accept: str, status: int) -> None:
    dag = build(b"x" * 3_000_000)
    async with opened() as gateway:
        await hold(gateway.store, dag)
        answer = await ask(gateway, f"/ipfs/{dag.root}?format=car&{query}", Accept=accept)
        assert answer.status == status, answer.body


async def test_an_archive_that_lacks_a_block_breaks_off() -> None:
    dag = build(TREE)
    async with opened() as gateway:
        await hold(gateway.store, dag, only=list(dag.leaves)[:2])
        request = f"GET /{gateway.token}/ipfs/{dag.root}?format=car HTTP/1.1\r\nHost: localhost:{gateway.port}\r\n\r\n"
        back = await gateway.raw(request.encode())
        assert back.startswith(b"HTTP/1.1 200") and not back.endswith(b"0\r\n\r\n"), (
            "cut, so that nobody takes it for whole"
        )

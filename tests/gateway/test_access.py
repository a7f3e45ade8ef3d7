"""Who gets in: the token, the capability of one content, the Host header; and that everything else looks alike from outside."""

from __future__ import annotations

import socket
import struct

import pytest
import trio

from p2pnode.core.cid import Cid
from p2pnode.errors import RefusedError
from p2pnode.gateway import server
from p2pnode.gateway.server import MAX_CONNECTIONS, MAX_HEAD_BYTES
from p2pnode.services.reading import MAX_READERS
from tests.gateway.conftest import opened
from tests.support.contents import hold
from tests.support.dags import build

pytestmark = pytest.mark.trio


async def test_nothing_is_given_without_the_token() -> None:
    dag = build({"a": b"secret"})
    async with opened() as gateway:
        await hold(gateway.store, dag)
        place = await gateway.place(dag.root)
        capability = place.split("/")[1]
        wrong = [
            "/",
            "/x/",
            f"/ipfs/{dag.root}/a",
            f"/ipfs/{dag.root}?format=raw",
            f"/{capability}/",
            f"/{capability}/ipfs/{build({'b': b'other'}).root}/",
            f"/{gateway.token[:-1]}/",
            f"/{gateway.token}x/ipfs/{dag.root}/a",
            "/%ff%fe/ipfs/%ff",
            "/favicon.ico",
        ]
        for path in wrong:
            answer = await gateway.ask(path)
            assert answer.status == 401, path
            assert b"secret" not in answer.body and gateway.token.encode() not in answer.body
        for header in ("", "Bearer", "Bearer x", f"Basic {gateway.token}", "Bearer \xff"):
            assert (await gateway.ask(f"/ipfs/{dag.root}/a", Authorization=header)).status == 401
        assert (await gateway.ask(f"/ipfs/{dag.root}/a", Authorization=f"Bearer {gateway.token}")).body == b"secret"


async def test_a_capability_opens_one_content_and_nothing_else() -> None:
    """What a hostile page could learn from its own address is worth nothing elsewhere."""
    mine, other = build({"page.html": b"<p>"}), build({"diary": b"secret"})
    async with opened() as gateway:
        for dag in (mine, other):
            await hold(gateway.store, dag)
        place = await gateway.place(mine.root)
        capability = place.split("/")[1]
        assert (await gateway.ask(place + "page.html")).status == 200
        for path in (
            f"/{capability}/ipfs/{other.root}/diary",
            f"/{capability}/ipfs/{other.root}?format=car",
            f"/{capability}",
        ):
            assert (await gateway.ask(path)).status == 401
        v0 = Cid(0, mine.root.codec, mine.root.multihash)
        assert (await gateway.ask(f"/{capability}/ipfs/{v0}/page.html")).status == 401, "not even by another spelling"
        page = await gateway.ask(place)
        assert gateway.token.encode() not in page.body, "pages of a content do not hold the token"


async def test_the_first_page_leads_to_every_work() -> None:
    async with opened() as gateway:
        page = await gateway.follow(f"/{gateway.token}")
        assert (page.status, b"none yet" in page.body) == (200, True)
        assert (await gateway.ask(f"/{gateway.token}/other")).status == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1", "", "localhost:1", "[::1]:80"])
async def test_a_page_of_elsewhere_cannot_pretend_to_be_here(host: str) -> None:
    async with opened() as gateway:
        assert (await gateway.ask(f"/{gateway.token}/", Host=host)).status == 403
        assert (await gateway.ask(f"/{gateway.token}/", Host=f"LocalHost:{gateway.port}")).status == 200


async def test_only_reading() -> None:
    async with opened() as gateway:
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
            answer = await gateway.ask(f"/{gateway.token}/", method)
            assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD"
        assert (await gateway.ask(f"/{gateway.token}/", "POST", b"body")).status == 413
        assert (await gateway.ask(f"/{gateway.token}/", Service_Worker="script")).status == 400


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # somebody tries TLS
        b"G" * 100_000,
        b"GET /" + b"a" * 2 * MAX_HEAD_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET  /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /?" + b"a&" * 100 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://elsewhere/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\n\r\n\r\n",
    ],
    ids=range(13),
)
async def test_rubbish_is_answered_with_an_error_or_the_end(data: bytes) -> None:
    async with opened() as gateway:
        back = await gateway.raw(data, half_close=True)
        assert back == b"" or back.split()[1][:1] == b"4", back[:200]
        assert (await gateway.ask(f"/{gateway.token}/")).status == 200, "and the next one is served"


async def test_who_is_slow_to_ask_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.2)
    async with opened() as gateway:
        assert await gateway.raw(b"GET / HT") == b""
        assert await gateway.raw(b"") == b""


async def test_who_takes_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STALL_TIMEOUT_S", 0.2)
    dag = build(bytes(30_000_000))
    async with opened() as gateway:
        await hold(gateway.store, dag)
        place = await gateway.place(dag.root)
        stream = await trio.open_tcp_stream("127.0.0.1", gateway.port)
        async with stream:
            await stream.send_all(f"GET {place} HTTP/1.1\r\nHost: localhost:{gateway.port}\r\n\r\n".encode())
            await trio.sleep(0.6)  # the gateway's patience, three times
            got = 0
            try:
                while part := await stream.receive_some(1 << 20):
                    got += len(part)
            except trio.BrokenResourceError:
                pass
            assert got < 30_000_000


async def test_who_goes_away_holds_nothing() -> None:
    dag = build({"film.mp4": bytes(9_000_000)})
    async with opened() as gateway:
        await hold(gateway.store, dag)
        place = await gateway.place(dag.root)
        ask = f"GET {place}film.mp4 HTTP/1.1\r\nHost: localhost:{gateway.port}\r\n\r\n".encode()
        for number in range(2 * MAX_READERS):
            stream = await trio.open_tcp_stream("127.0.0.1", gateway.port)
            await stream.send_all(ask)
            if number % 2:
                await stream.receive_some(1)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # gone without a word
            await stream.aclose()
        await gateway.ask_until(200)
        while (answer := await gateway.ask(place + "film.mp4", Range="bytes=5-9")).status != 206:
            assert answer.status == 429, "the last of them are still being noticed"
            await trio.sleep(0.01)
        assert answer.body == bytes(5)


async def test_connections_are_limited_and_free_again() -> None:
    async with opened() as gateway:
        streams = [await trio.open_tcp_stream("127.0.0.1", gateway.port) for _ in range(MAX_CONNECTIONS)]
        await gateway.ask_until(503)
        for stream in streams:
            await stream.aclose()
        await gateway.ask_until(200)


async def test_one_connection_asks_many_times() -> None:
    async with opened() as gateway:
        ask = f"GET /{gateway.token}/ HTTP/1.1\r\nHost: localhost:{gateway.port}\r\n\r\n".encode()
        back = await gateway.raw(ask * 5, half_close=True)
        assert back.count(b"HTTP/1.1 200") == 5


async def test_closing_ends_it_and_opening_again_gives_another_token() -> None:
    async with opened() as gateway:
        first = gateway.door.state()
        assert await gateway.door.open(0) == first, "asking again tells where it is"
        with pytest.raises(RefusedError, match="already"):
            await gateway.door.open(1 if gateway.port != 1 else 2)
        assert await gateway.door.close() == {"open": False}
        with pytest.raises(OSError):
            await gateway.ask("/")
        again = await gateway.door.open(gateway.port)
        assert again["token"] != gateway.token
        assert (await gateway.ask(f"/{gateway.token}/")).status == 401


async def test_a_port_that_is_taken_is_said() -> None:
    async with opened() as one, opened() as two:
        await two.door.close()
        with pytest.raises(RefusedError, match="another program"):
            await two.door.open(one.port)

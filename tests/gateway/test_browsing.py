"""What a browser gets: pages, files, ranges, and nothing that a stranger's file could use against its reader."""

from __future__ import annotations

import random
import re

import pytest

from p2pnode.core.cid import RAW, Cid
from p2pnode.core.dagpb import Link, UnixFS, UnixFSType
from p2pnode.gateway.kinds import kind_of
from tests.gateway.conftest import Answer, Opened, opened
from tests.support.contents import hold, many_files
from tests.support.dags import build, node

pytestmark = pytest.mark.trio

FILM = random.Random(1).randbytes(3_500_000)
TREE = {
    "film.mp4": FILM,
    "page.html": b"<script>alert(1)</script><img src=cover.png>",
    "notes": b"plain words",
    "thing.bin": b"\x00\x01\x02",
    "a b": {"\u00fc<b>.txt": b"deep"},
    "empty": b"",
}


def policy(answer: Answer) -> str:
    return answer.headers["content-security-policy"]


async def give(gateway: Opened, tree: object = TREE) -> tuple[Cid, str]:
    dag = build(tree)  # type: ignore[arg-type]
    await hold(gateway.store, dag)
    return dag.root, await gateway.place(dag.root)


async def test_a_folder_is_a_page_whose_links_lead_on() -> None:
    async with opened() as gateway:
        _, place = await give(gateway)
        page = await gateway.ask(place)
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        links = re.findall(r'href="\./([^"]+)"', page.body.decode())
        assert "film.mp4" in links and "a%20b" in links
        inner = await gateway.follow(place + "a%20b")
        assert "\u00fc&lt;b&gt;.txt" in inner.body.decode(), "a hostile name is escaped"
        (link,) = re.findall(r'href="\./([^"]+)"', inner.body.decode())
        deep = await gateway.ask(f"{place}a%20b/{link}")
        assert (deep.status, deep.body) == (200, b"deep")
        assert (await gateway.ask(place, If_None_Match=page.headers["etag"])).status == 304


async def test_a_file_whole_and_by_ranges() -> None:
    async with opened() as gateway:
        root, place = await give(gateway)
        url = place + "film.mp4"
        whole = await gateway.ask(url)
        assert (whole.status, whole.body, whole.headers["content-length"]) == (200, FILM, str(len(FILM)))
        assert whole.headers["content-type"] == "video/mp4"
        assert whole.headers["accept-ranges"] == "bytes"
        assert whole.headers["x-ipfs-path"] == f"/ipfs/{root}/film.mp4"
        etag = whole.headers["etag"]
        assert etag.strip('"') == whole.headers["x-ipfs-roots"].split(",")[-1], "the ETag is the file's own CID"
        head = await gateway.ask(url, "HEAD")
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(FILM)))
        assert (await gateway.ask(url, If_None_Match=etag)).status == 304
        assert (await gateway.ask(url, If_None_Match='"other", *')).status == 304
        rng = random.Random(2)
        for first, last in [
            (0, 0),
            (0, 99),
            (1 << 20, (1 << 20) + 5),
            *((a, a + rng.randrange(900_000)) for a in (7, 999_999)),
        ]:
            part = await gateway.ask(url, Range=f"bytes={first}-{last}")
            assert (part.status, part.body) == (206, FILM[first : last + 1])
            assert part.headers["content-range"] == f"bytes {first}-{last}/{len(FILM)}"
        assert (await gateway.ask(url, Range="bytes=-1000")).body == FILM[-1000:]
        assert (await gateway.ask(url, Range="bytes=3499000-")).body == FILM[3_499_000:]
        assert (await gateway.ask(url, Range="bytes=3499000-99999999")).body == FILM[3_499_000:]
        assert (await gateway.ask(url, Range="bytes=0-9", If_Range=etag)).status == 206
        assert (await gateway.ask(url, Range="bytes=0-9", If_Range='"old"')).status == 200


@pytest.mark.parametrize("header", ["bytes=3500000-", "bytes=9999999-", "bytes=-0"])
async def test_a_range_that_does_not_exist(header: str) -> None:
    async with opened() as gateway:
        _, place = await give(gateway)
        answer = await gateway.ask(place + "film.mp4", Range=header)
        assert (answer.status, answer.headers["content-range"]) == (416, f"bytes */{len(FILM)}")


@pytest.mark.parametrize(
    "header", ["bytes=0-1,5-6", "bytes=a-b", "chunks=0-1", "bytes=-", "bytes=9-3", "bytes=" + "9" * 400]
)
async def test_a_range_that_is_not_understood_is_the_whole(header: str) -> None:
    async with opened() as gateway:
        _, place = await give(gateway)
        assert (await gateway.ask(place + "film.mp4", "HEAD", Range=header)).status == 200


async def test_what_could_act_is_shown_without_hands() -> None:
    async with opened() as gateway:
        _, place = await give(gateway)
        page = await gateway.ask(place + "page.html")
        assert policy(page).startswith("sandbox; default-src 'none'; "), "no scripts, no forms, an origin of its own"
        assert "allow-" not in policy(page) and "script-src" not in policy(page)
        assert f"img-src {place}" in policy(page), "it may load what lies beside it, and nothing else"
        for answer in (page, await gateway.ask(place + "film.mp4"), await gateway.ask(place), await gateway.ask("/no")):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "access-control-allow-origin" not in answer.headers
            assert "set-cookie" not in answer.headers
            assert "default-src 'none'" in policy(answer)
            assert "frame-ancestors 'none'" in policy(answer)


async def test_what_a_file_is_said_to_be() -> None:
    async with opened() as gateway:
        _, place = await give(gateway)
        notes = await gateway.ask(place + "notes")
        assert notes.headers["content-type"] == "text/plain; charset=utf-8"
        assert notes.headers["content-disposition"].startswith("inline;")
        thing = await gateway.ask(place + "thing.bin")
        assert thing.headers["content-type"] == "application/octet-stream"
        assert thing.headers["content-disposition"].startswith("attachment;")
        saved = await gateway.ask(place + "notes?download=true&filename=%22a%0d%0aX-Evil:%201.txt")
        assert saved.headers["content-disposition"].startswith("attachment; filename=")
        assert "x-evil" not in saved.headers
        assert (await gateway.ask(place + "empty")).body == b""
    assert kind_of("a.HTML", b"").type == "text/html; charset=utf-8"
    assert kind_of("a.js", b"alert()").type == "text/plain; charset=utf-8", "a script is read, not run"
    assert kind_of("a", "\u00e4".encode() * 400).type.startswith("text/plain"), "cut within a letter"
    assert kind_of("a", b"\xff\xfe").type == "application/octet-stream"


async def test_a_folder_with_an_index_shows_it() -> None:
    async with opened() as gateway:
        _, place = await give(gateway, {"index.html": b"<p>Hello", "other": b"1"})
        assert (await gateway.ask(place)).body == b"<p>Hello"
        assert b"other" in (await gateway.ask(place + "?list")).body


async def test_a_sharded_folder() -> None:
    many = many_files(6000, size=1)
    async with opened() as gateway:
        _, place = await give(gateway, many)
        page = await gateway.ask(place)
        assert page.body.count(b'href="./') == 6000
        for name in random.Random(3).sample(sorted(many), 5):
            assert (await gateway.ask(place + name.replace(" ", "%20"))).body == many[name]
        assert (await gateway.ask(place + "file%20none")).status == 404


async def test_a_content_that_is_a_file() -> None:
    async with opened() as gateway:
        root, place = await give(gateway, b"just this")
        assert (await gateway.ask(place.rstrip("/"))).body == b"just this"
        assert (await gateway.ask(place)).body == b"just this"
        assert (await gateway.ask(f"/ipfs/{root}", Authorization=f"Bearer {gateway.token}")).body == b"just this"


async def test_links_are_not_followed_and_what_is_not_there_is_not_there() -> None:
    link, block = node([], UnixFS(UnixFSType.SYMLINK, data=b"../../etc/passwd"))
    folder, above = node([Link(link, b"link", 1), Link(Cid.of(RAW, b"gone"), b"gone", 4)], UnixFS(UnixFSType.DIRECTORY))
    dag = build(b"")
    dag.root, dag.interior = folder, {folder: above, link: block}
    async with opened() as gateway:
        await hold(gateway.store, dag)
        place = await gateway.place(folder)
        for path in ("link", "gone", "nothing", "link/passwd", "..%2f..%2fetc", "%00", "a//b"):
            answer = await gateway.ask(place + path)
            assert answer.status in (400, 404), path
            assert b"passwd" not in answer.body or path == "link/passwd"

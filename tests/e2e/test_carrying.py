"""Archives, bundles and the gateway with real daemons and the real command line: what people carry on a stick, and what a browser sees."""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.daemons import RealDaemon, wait_until
from tests.support.trees import assert_same_tree

pytestmark = pytest.mark.network
SEED = 4711
KILLS = 2


@pytest.fixture
def books(tmp_path: Path) -> Path:
    rng = random.Random(SEED)
    folder = tmp_path / "books"
    (folder / "small").mkdir(parents=True)
    (folder / "film.mp4").write_bytes(rng.randbytes(40 << 20))
    for number in range(60):
        (folder / "small" / f"{number}.txt").write_bytes(rng.randbytes(rng.randrange(70_000)))
    return folder


def verdict(daemon: RealDaemon, question: str) -> str:
    return json.dumps(daemon.json("explain", question)["verdict"], sort_keys=True)


def test_two_nodes_that_never_connect_agree_through_a_file(
    start: Callable[..., RealDaemon], books: Path, tmp_path: Path
) -> None:
    anna, ben = start("anna"), start("ben")
    circle = anna.json("circle", "create", "Readers")["circle"]
    published = anna.json("publish", str(books / "small"), "--title", "Small Books", "--circle", circle)
    anna.json("publish", str(books), "--title", "Diary", "--private")
    stick = tmp_path / "stick.car"
    written = anna.json("bundle", "export", str(stick), "--all")
    assert (written["works"], written["contents"], written["circles"]) == (1, 1, 1), "what is private stays"
    taken = ben.json("bundle", "import", str(stick), "--follow", "Readers")
    assert (taken["taken"], taken["damage"], taken["circles"][0]["state"]) == (1, None, "followed")
    assert verdict(anna, published["proposal"]) == verdict(ben, published["proposal"])
    (mine,) = [one for one in anna.lines("list") if one["title"] == "Small Books"]
    (theirs,) = ben.lines("list")
    assert mine["verdicts"] == theirs["verdicts"] and mine["cid"] == theirs["cid"]
    got = ben.json("get", published["work"], "-o", str(tmp_path / "copy"))
    assert got["providers"] == 0
    assert_same_tree(books / "small", tmp_path / "copy")
    short = tmp_path / "short.car"
    short.write_bytes(stick.read_bytes()[:-100_000])
    refused = start("carla").run("bundle", "import", str(short), check=False)
    assert refused.returncode == 1 and "not whole" in refused.stderr and "Traceback" not in refused.stderr
    assert anna.json("status")["peers"] == 0 and ben.json("status")["peers"] == 0


def test_an_archive_is_carried_and_becomes_a_work(
    start: Callable[..., RealDaemon], books: Path, tmp_path: Path
) -> None:
    anna, ben = start("anna"), start("ben")
    published = anna.json("publish", str(books), "--title", "Books")
    file = tmp_path / "books.car"
    assert anna.json("car", "export", published["work"], "-o", str(file))["bytes"] == file.stat().st_size
    again = anna.run("car", "export", published["cid"], "-o", str(file), check=False)
    assert again.returncode == 6, "nothing is overwritten"
    streamed = subprocess.run(
        [sys.executable, "-m", "p2pnode", "car", "export", published["cid"], "-o", "-"],
        env=anna.environment, capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    assert streamed.stdout == file.read_bytes(), "a pipe gets the same bytes"
    item = ben.json("car", "import", str(file), "--title", "Books of Anna", "--tag", "gift")
    assert (item["cid"], item["bytes"]) == (published["cid"], published["bytes"])
    (listed,) = ben.lines("list")
    assert (listed["title"], listed["state"]) == ("Books of Anna", "own")
    ben.json("get", item["work"], "-o", str(tmp_path / "copy"))
    assert_same_tree(books, tmp_path / "copy")
    file.write_bytes(b"no archive")
    wrong = ben.run("car", "import", str(file), check=False)
    assert wrong.returncode == 1 and "is no CAR file" in wrong.stderr


def test_killed_while_importing(start: Callable[..., RealDaemon], books: Path, tmp_path: Path) -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    anna = start("anna")
    published = anna.json("publish", str(books), "--title", "Books")
    file = tmp_path / "books.car"
    anna.json("car", "export", published["cid"], "-o", str(file))
    ben = start("ben")
    for _ in range(KILLS):
        asking = ben.begin("car", "import", str(file), "--title", "Books of Anna")
        time.sleep(rng.uniform(0.2, 0.8))  # a moment, not a condition: any will do
        ben.kill()
        asking.communicate(timeout=30)
        ben.start()
        for work in ben.lines("list"):
            assert work["cid"] == published["cid"], "what is listed is whole"
    result = ben.run("car", "import", str(file), "--title", "Books of Anna", check=False)
    assert result.returncode in (0, 6), result.stderr  # 6: a kill came after the work was made
    (work,) = ben.lines("list")
    ben.json("get", work["work"], "-o", str(tmp_path / "copy"))
    assert_same_tree(books, tmp_path / "copy")
    wait_until(lambda: len(list((ben.home / "library").iterdir())) == 1, what="nothing unfinished is left")
    assert "Traceback" not in ben.log
    assert ben.stop() == 0


def test_a_film_plays_in_a_browser_while_it_arrives(start: Callable[..., RealDaemon], books: Path) -> None:
    anna = start("anna")
    published = anna.json("publish", str(books), "--title", "Films")
    ben = start("ben", bootstrap=(anna.address,))
    wait_until(lambda: ben.json("status")["peers"] == 1, what="the two are connected")
    assert ben.json("gateway", "--status") == {"open": False}
    opened = ben.json("gateway")
    url = urlsplit(opened["url"])
    film = (books / "film.mp4").read_bytes()

    def ask(path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", opened["port"], timeout=60)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        try:
            return response.status, found, response.read()
        finally:
            connection.close()

    assert url.hostname == "127.0.0.1" and url.path == f"/{opened['token']}/"
    status, headers, _ = ask(f"{url.path}ipfs/{published['cid']}/film.mp4")
    assert status == 302
    place = headers["location"]
    status, headers, part = ask(place, Range="bytes=20000000-20999999")
    assert (status, part) == (206, film[20_000_000:21_000_000]), "the middle comes first"
    assert headers["content-range"] == f"bytes 20000000-20999999/{len(film)}"
    status, _, whole = ask(place)
    assert (status, whole) == (200, film)
    status, _, page = ask(place.removesuffix("film.mp4"))
    assert status == 200 and b"film.mp4" in page
    assert ask(f"/ipfs/{published['cid']}?format=raw")[0] == 401
    assert ask(f"/ipfs/{published['cid']}?format=raw", Authorization=f"Bearer {opened['token']}")[0] == 200
    assert ask(url.path, Host="evil.example")[0] == 403
    assert ben.json("gateway", "--stop") == {"open": False}
    with pytest.raises(OSError):
        ask(url.path)
    assert "Traceback" not in ben.log


def test_the_gateway_may_open_with_the_node(tmp_path: Path) -> None:
    anna, ben = RealDaemon(tmp_path / "anna"), RealDaemon(tmp_path / "ben")
    anna.environment |= {"P2PNODE_GATEWAY": "yes"}
    try:
        opened = anna.start().json("gateway", "--status")
        assert opened["open"] and opened["port"] > 0
        ben.environment |= {"P2PNODE_GATEWAY": "yes", "P2PNODE_GATEWAY_PORT": str(opened["port"])}
        assert ben.start().json("gateway", "--status") == {"open": False}, "a port that is taken costs the gateway only"
        assert "another program uses it" in ben.log and "Traceback" not in ben.log
        assert opened["token"] not in anna.log
    finally:
        anna.kill()
        ben.kill()

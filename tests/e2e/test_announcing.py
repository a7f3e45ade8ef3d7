"""Real daemons announce what they provide, strangers find it by the DHT alone, and a restart knows how far announcing came."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from p2pnode.config import Home
from p2pnode.control.blocking import BlockingClient
from p2pnode.errors import P2pnodeError
from tests.support.daemons import RealDaemon, wait_until

pytestmark = pytest.mark.network


def call(daemon: RealDaemon, method: str, **params: object) -> dict[str, Any]:
    with BlockingClient(Home(daemon.home)) as client:
        return client.call(method, params, timeout_s=60)


def providers(daemon: RealDaemon, **params: object) -> list[str]:
    return [item["peer_id"] for item in call(daemon, "dht.providers", **params)["items"]]


def finds(asker: RealDaemon, provider: RealDaemon, wanted: dict[str, str]) -> bool:
    return providers(asker, **wanted) == [provider.peer_id]


def test_what_is_published_is_found_and_what_is_unpublished_is_told_no_more(
    start: Callable[..., RealDaemon], tmp_path: Path
) -> None:
    hub = start("hub")
    anna, ben = start("anna", bootstrap=(hub.address,)), start("ben", bootstrap=(hub.address,))
    wait_until(lambda: len(anna.lines("peers")) == 2 and len(ben.lines("peers")) == 2, what="the three have met")
    (tmp_path / "gulls.txt").write_bytes(b"gulls\n" * 1000)
    published = anna.json("publish", str(tmp_path / "gulls.txt"), "--title", "Herring Gulls")
    for kind, text in (("word", "Herring"), ("word", "gulls"), ("work", published["cid"])):
        wanted = {kind: text}
        wait_until(partial(finds, ben, anna, wanted), what=f"ben finds {wanted}")

    def everything_is_found() -> bool:
        state = call(anna, "dht.announced", sample=20)
        return bool(state["asked"] == state["found"] == 4)

    wait_until(everything_is_found, what="root, id and both words are found as strangers find them")
    with pytest.raises(P2pnodeError, match="not one word"):
        call(ben, "dht.providers", word="two words")
    with pytest.raises(P2pnodeError, match="either"):
        call(ben, "dht.providers")

    wait_until(lambda: call(anna, "dht.announced")["began"] is not None, what="a round began")
    before = call(anna, "dht.announced")["began"]
    anna.stop()
    anna.start()
    wait_until(lambda: anna.lines("peers"), what="anna is back")
    state = call(anna, "dht.announced")
    assert (state["began"], state["keys"], state["left"]) == (before, 4, 0)  # not told again because of the restart
    assert providers(anna, word="gulls") == []
    assert providers(ben, word="gulls") == [anna.peer_id]

    anna.json("unpublish", published["work"])
    (tmp_path / "other.txt").write_bytes(b"gulls too\n")
    anna.json("publish", str(tmp_path / "other.txt"), "--title", "Gulls")
    assert call(anna, "dht.announced", sample=20)["asked"] <= 3  # root, id and one word

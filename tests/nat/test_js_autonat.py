"""AutoNAT against js-libp2p on a street: our answers to its questions, and its answers to ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop.js_node import JsNode
from tests.nat import street
from tests.nat.homes import Homes, address_of, until
from tests.nat.rules import Kind
from tests.nat.street import Site, Street

pytestmark = [pytest.mark.network, pytest.mark.foreign]

PORT, CLOSED = 4001, 4002


@contextmanager
def js_node(net: Street, site: Site, folder: Path) -> Iterator[JsNode]:
    listen = {"listen": [f"/ip4/{site.address}/tcp/{PORT}"]}
    node = JsNode(folder, "/test/kad/1.0.0", street=listen, within=net.within(site), program="autonat_node.mjs")
    try:
        yield node
    finally:
        node.close()


def test_js_libp2p_is_dialled_back_and_dials_back(foreign: Path, tmp_path: Path) -> None:
    street.needed()
    with Street() as net:
        here, there = net.site(Kind.PUBLIC), net.site(Kind.PUBLIC)
        with js_node(net, there, foreign) as js, Homes(net, tmp_path) as homes:
            ours = homes.daemon("ours", here)
            js.ask("dial", address=address_of(ours, here))

            def answered() -> list[dict[str, Any]]:
                found: list[dict[str, Any]] = js.ask("answered")
                return found

            # it understands what we ask; then it takes the connection that is there for its own, and hangs up
            assert until(answered, "a question of ours")[0]["asked"] >= 1
            assert ours.json("status")["reach"]["verdict"] == "unknown"
            js.ask("dial", address=address_of(ours, here))

            def answer(*addresses: str, **options: Any) -> dict[str, Any]:
                said: dict[str, Any] = js.ask("dial me", peer=ours.peer_id, addresses=addresses, **options)
                assert said["type"] == "DIAL_RESPONSE"
                return said

            good, bad = f"/ip4/{there.address}/tcp/{PORT}", f"/ip4/{there.address}/tcp/{CLOSED}"
            assert answer(bad, good) | {"statusText": ""} == {
                "type": "DIAL_RESPONSE",
                "status": "OK",
                "statusText": "",
                "addr": good,
            }
            assert answer(bad)["status"] == "E_DIAL_ERROR"
            assert answer(f"/ip4/{here.address}/tcp/{PORT}", "/ip4/192.168.1.1/tcp/80")["status"] == "E_DIAL_REFUSED"
            assert answer(good, **{"as": ours.peer_id})["status"] == "E_BAD_REQUEST"

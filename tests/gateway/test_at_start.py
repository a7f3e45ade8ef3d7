"""A port of the settings that is taken when the node starts: told as long as it is so, and opened when it is free."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trio

from p2pnode.gateway import at_start
from p2pnode.gateway.at_start import keep_metrics
from p2pnode.services.closed_doors import METRICS, ClosedDoors
from tests.support.net import until

pytestmark = pytest.mark.trio


async def test_metrics_open_when_the_port_is_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(at_start, "AGAIN_S", 0.01)
    doors = ClosedDoors()

    async def text() -> str:
        return "bees 1\n"

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))
                taken.listen()
                port = taken.getsockname()[1]
                nursery.start_soon(keep_metrics, text, port, doors)
                await until(lambda: bool(doors.findings()))
                (finding,) = doors.findings()
                assert (finding.check, finding.state) == (METRICS, "bad")
                assert finding.words == (
                    f"nothing tells metrics: port {port} cannot be opened: another program uses it (metrics_port)"
                )
            await until(lambda: not doors.findings())
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n" % port)
            assert b"".join([part async for part in stream]).endswith(b"bees 1\n")
            nursery.cancel_scope.cancel()

"""Finding each other by multicast DNS: on loopback where multicast works there, and what strangers may announce."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from zeroconf import DNSOutgoing, DNSPointer, Zeroconf
from zeroconf.const import _CLASS_IN, _FLAGS_AA, _FLAGS_QR_RESPONSE, _TYPE_PTR

from p2pnode.core.ids import PeerId
from p2pnode.net import beside, lan
from p2pnode.net.lan import Lan, decode_properties, encode_properties, service_type
from tests.support.net import DEADLINE_S, NodeNet, wait_connected

PEER = PeerId("12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5")
OTHER = PeerId("12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5")

OTHER_PROCESS = """
import sys, trio
from tests.support.net import NodeNet, until
async def main():
    async with NodeNet(2, network=sys.argv[1]).open(lan=True) as network:
        print(network.peer_id, flush=True)
        with trio.move_on_after(float(sys.argv[2])):
            await until(lambda: bool(network.peers()), deadline_s=60)
        print(len(network.peers()), flush=True)
        await trio.to_thread.run_sync(sys.stdin.readline)
trio.run(main)
"""


def multicast_on_loopback() -> str:
    """Why it cannot work here, "" if it can: tried with two sockets, as zeroconf does it."""
    group, port = "224.0.0.251", 0
    member = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
    try:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
        ):
            one.bind(("", port))
            one.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            one.settimeout(2)
            two.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            two.sendto(b"hello", (group, one.getsockname()[1]))
            return "" if one.recv(10) == b"hello" else "something else came"
    except OSError as error:
        return f"multicast on loopback: {error}"


def other_process(network: str, patience_s: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, network, str(patience_s)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=20)


@pytest.mark.trio
@pytest.mark.network
async def test_two_processes_find_each_other() -> None:
    reason = multicast_on_loopback()
    if reason:
        pytest.skip(reason)
    process = other_process("lan-test", 30)
    try:
        assert process.stdout is not None
        peer = PeerId((await trio.to_thread.run_sync(process.stdout.readline)).strip())
        async with NodeNet(1, network="lan-test").open(lan=True) as network:
            await wait_connected(network, peer)
            assert (await trio.to_thread.run_sync(process.stdout.readline)).strip() == "1"
            await trio.to_thread.run_sync(end, process)
    finally:
        process.kill()


@pytest.mark.trio
@pytest.mark.network
async def test_networks_of_different_names_do_not_see_each_other() -> None:
    reason = multicast_on_loopback()
    if reason:
        pytest.skip(reason)
    async with (
        NodeNet(1, network="lan-one").open(lan=True) as one,
        NodeNet(2, network="lan-two").open(lan=True) as two,
        NodeNet(3, network="lan-two").open(lan=True) as three,
    ):
        await wait_connected(two, three.peer_id)
        assert one.peers() == []
        told = {one.kind: one for one in two.meter.kinds()}[beside.LOCAL]
        assert told.up > 100 and told.down > 100, "announcements are traffic, too"


@pytest.mark.trio
@pytest.mark.network
async def test_names_without_details_keep_nobody_waiting() -> None:
    """Whose details are asked for answers within seconds or not at all: two hundred who never do would take ten minutes in a row."""
    reason = multicast_on_loopback()
    if reason:
        pytest.skip(reason)
    found = trio.Event()

    def note(peer: PeerId, addresses: Sequence[str]) -> None:
        if peer == OTHER:
            found.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(Lan("flood", PEER, lambda: ["/ip4/127.0.0.1/tcp/4001"], note).run)
        with Zeroconf(interfaces=["127.0.0.1"]) as flood:
            assert await trio.to_thread.run_sync(_is_listening, flood)
            announce(flood, [f"nobody{number}" for number in range(200)])
            nursery.start_soon(Lan("flood", OTHER, lambda: ["/ip4/127.0.0.1/tcp/4002"], lambda *_: None).run)
            with trio.fail_after(DEADLINE_S):
                await found.wait()
        nursery.cancel_scope.cancel()


def _is_listening(zeroconf: Zeroconf) -> bool:
    return zeroconf.get_service_info(service_type("flood"), f"{PEER[-40:]}.{service_type('flood')}", 60_000) is not None


def announce(zeroconf: Zeroconf, names: Sequence[str]) -> None:
    """Names of services of which there is nothing else."""
    out = DNSOutgoing(_FLAGS_QR_RESPONSE | _FLAGS_AA)
    for name in names:
        kind = service_type("flood")
        out.add_answer_at_time(DNSPointer(kind, _TYPE_PTR, _CLASS_IN, 4500, f"{name}.{kind}"), 0)
    zeroconf.send(out)


@pytest.mark.trio
async def test_no_network_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(**_: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(lan, "CountedZeroconf", nothing)
    with trio.fail_after(DEADLINE_S):
        await Lan("test", PEER, list, lambda peer, addresses: None).run()


def test_the_service_name_is_bound_to_the_network_and_short_enough() -> None:
    assert service_type("one") != service_type("two")
    assert len(service_type("any").split(".")[0]) <= 16


def test_properties_there_and_back() -> None:
    near = ["/ip4/192.168.1.2/tcp/4001", "/ip4/127.0.0.1/tcp/4001"]
    encoded = encode_properties(PEER, [*near, "/ip4/8.8.8.8/tcp/4001"])
    assert decode_properties({k.encode(): v.encode() for k, v in encoded.items()}) == (PEER, near)


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {b"p": None},
        {b"p": b"\xff\xfe"},
        {b"p": b"x" * 10_000},
        {b"a0": b"/ip4/127.0.0.1/tcp/1"},
    ],
)
def test_announcements_that_are_not_ours(properties: dict[bytes, bytes | None]) -> None:
    assert decode_properties(properties) is None


def test_only_local_addresses_are_believed() -> None:
    lies = [b"/ip4/8.8.8.8/tcp/53", b"/dns4/example.org/tcp/1", b"garbage", b"\xff", b"/ip4/10.0.0.1/tcp/5"]
    found = decode_properties({b"p": PEER.encode(), **{b"a%d" % n: lie for n, lie in enumerate(lies)}})
    assert found == (PEER, ["/ip4/10.0.0.1/tcp/5"])
    assert json.dumps(found)

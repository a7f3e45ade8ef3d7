"""UPnP: what routers write is read within limits; traps in it lead nowhere; and the client against routers on loopback."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from p2pnode.errors import DecodeError, NetworkError
from p2pnode.net import beside
from p2pnode.net.nat import upnp_gateway
from p2pnode.net.nat.gateways import Mapping
from p2pnode.net.nat.upnp_gateway import MAX_ANSWER_BYTES, Upnp
from p2pnode.net.nat.upnp_text import (
    Control,
    Url,
    decode_answer,
    decode_description,
    decode_http,
    decode_location,
    encode_call,
    parse_url,
)
from p2pnode.net.traffic import Traffic
from tests.support.waiting import DEADLINE_S

HOST = "192.168.1.1"
BASE = Url(HOST, 5000, "/root.xml")
SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1"


def description(control: str = "/ctl", service: str = SERVICE, before: str = '<?xml version="1.0"?>') -> bytes:
    return (
        f'{before}<root xmlns="urn:schemas-upnp-org:device-1-0"><device><deviceList><device><serviceList><service>'
        f"<serviceType>{service}</serviceType><controlURL>{control}</controlURL></service></serviceList></device>"
        f"</deviceList></device></root>"
    ).encode()


def test_a_location_is_taken_from_who_answers() -> None:
    said = f"HTTP/1.1 200 OK\r\nST: x\r\nLocation:  http://{HOST}:5000/root.xml\r\n\r\n".encode()
    assert decode_location(said, HOST) == BASE


@pytest.mark.parametrize(
    "location",
    [
        "http://203.0.113.9:5000/root.xml",
        "http://192.168.1.2:5000/root.xml",
        "https://192.168.1.1/root.xml",
        "http://router.local/root.xml",
        "http://192.168.1.1@203.0.113.9/root.xml",
        "http://u:p@192.168.1.1/root.xml",
        "http://192.168.1.1:99999/root.xml",
        "http://192.168.1.1/a b",
        "http://192.168.1.1/" + "a" * 300,
        "http://[::1]/x",
        "file:///etc/passwd",
        "",
    ],
)
def test_a_location_that_leads_elsewhere_is_refused(location: str) -> None:
    with pytest.raises(DecodeError):
        decode_location(f"HTTP/1.1 200 OK\r\nLOCATION: {location}\r\n\r\n".encode(), HOST)


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 404 no\r\nLocation: http://192.168.1.1/\r\n\r\n", b"NOTIFY * HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_answer_to_a_search_is_refused(said: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_location(said, HOST)


@pytest.mark.parametrize("control", ["/ctl", "ctl", f"http://{HOST}:5000/ctl"])
def test_the_service_is_found(control: str) -> None:
    assert decode_description(description(control), BASE) == Control(Url(HOST, 5000, "/ctl"), SERVICE)


@pytest.mark.parametrize(
    "document",
    [
        description("http://203.0.113.9/ctl"),
        description("//203.0.113.9/ctl"),
        description("http://[broken/ctl"),
        description("/a&#13;&#10;X: y"),
        description(service="urn:schemas-upnp-org:service:Layer3Forwarding:1"),
        description(""),
        b"<root>",
        b"",
        b"\xff\xfe" + description().decode().encode("utf-16-le"),
        b"<root>" + b"<a/>" * 3000 + b"</root>",
        b"<a>" * 20_000,
        b"<a>" * 9_000 + b"</a>" * 9_000,
    ],
)
def test_a_description_that_leads_elsewhere_or_nowhere_is_refused(document: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_description(document, BASE)


@pytest.mark.parametrize(
    "bomb",
    [
        '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE r SYSTEM "http://203.0.113.9/evil.dtd">',
    ],
)
def test_a_document_type_is_not_looked_at(bomb: str) -> None:
    with pytest.raises(DecodeError, match="document type"):
        decode_description(description(before=bomb), BASE)
    with pytest.raises(DecodeError, match="document type"):
        decode_answer((bomb + "<x>1</x>").encode())


@given(st.one_of(st.binary(max_size=300), st.text(alphabet="<>/!&;ab[]\"' ", max_size=60).map(str.encode)))
def test_any_bytes_are_read_or_a_decode_error(data: bytes) -> None:
    for read in (
        lambda: decode_description(data, BASE),
        lambda: decode_answer(data),
        lambda: decode_http(data),
        lambda: decode_location(data, HOST),
        lambda: parse_url(data.decode("latin-1"), HOST),
    ):
        with suppress(DecodeError):
            read()


def test_a_call_is_one_that_routers_know() -> None:
    call = encode_call(
        Control(Url(HOST, 5000, "/ctl"), SERVICE), "AddPortMapping", {"NewRemoteHost": "", "NewX": "<&>"}
    )
    head, _, body = call.decode().partition("\r\n\r\n")
    assert head.startswith("POST /ctl HTTP/1.0\r\n")
    assert f'SOAPAction: "{SERVICE}#AddPortMapping"' in head
    assert f"Content-Length: {len(body)}" in head
    assert "<NewX>&lt;&amp;&gt;</NewX>" in body


class Router:
    """An HTTP server on loopback. `answers` makes of an action and its body a status and leaves; or all bytes of an answer."""

    def __init__(self, answers: Callable[[str, str], bytes]) -> None:
        self.answers = answers
        self.actions: list[str] = []

    async def handle(self, stream: trio.SocketStream) -> None:
        data = b""
        while b"\r\n\r\n" not in data or (b"Envelope>" not in data[-40:] and data.startswith(b"POST")):
            part = await stream.receive_some()
            if not part:
                return
            data += part
        text = data.decode()
        found = re.search(r'SOAPAction: "[^#]*#(\w+)"', text)
        action = found[1] if found else "GET"
        self.actions.append(action)
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await stream.send_all(self.answers(action, text))
        await stream.aclose()


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: text/xml\r\n\r\n".encode() + body


def leaves(**said: str) -> bytes:
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in said.items())
    return http(f"<s:Envelope xmlns:s='s'><s:Body><u:r xmlns:u='u'>{inner}</u:r></s:Body></s:Envelope>".encode())


def fault(number: str) -> bytes:
    body = f"<Envelope><Body><Fault><errorCode>{number}</errorCode></Fault></Body></Envelope>"
    return http(body.encode(), "500 Internal Server Error")


@asynccontextmanager
async def routed(answers: Callable[[str, str], bytes]) -> AsyncIterator[tuple[Router, str]]:
    router = Router(answers)
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, router.handle, [listener])
        with trio.fail_after(DEADLINE_S):
            yield router, f"http://127.0.0.1:{listener.socket.getsockname()[1]}/root.xml"
        nursery.cancel_scope.cancel()


def honest(action: str, text: str) -> bytes:
    if action == "GET":
        return http(description())
    if action == "GetExternalIPAddress":
        return leaves(NewExternalIPAddress="203.0.113.9")
    if action == "GetSpecificPortMappingEntry":
        return leaves(NewInternalPort="4001", NewInternalClient="127.0.0.1")
    return leaves()


@pytest.mark.trio
async def test_a_port_is_mapped_seen_and_given_back() -> None:
    traffic = Traffic()
    beside.counted_by(traffic)
    async with routed(honest) as (router, location):
        gateway = await Upnp.at(location)
        mapping = await gateway.map(4001, 4001)
        assert mapping == Mapping("203.0.113.9", 4001, 4001, 3600)
        assert await gateway.holds(mapping)
        await gateway.unmap(mapping)
    assert router.actions[-1] == "DeletePortMapping"
    up, down = traffic.counted()
    assert up > 1000 and down > 1000, "what the router is asked counts like all traffic"
    assert [one.kind for one in traffic.kinds()] == [beside.ROUTER]


@pytest.mark.trio
async def test_a_forgotten_mapping_is_noticed() -> None:
    def forgetful(action: str, text: str) -> bytes:
        return fault("714") if action == "GetSpecificPortMappingEntry" else honest(action, text)

    async with routed(forgetful) as (_, location):
        gateway = await Upnp.at(location)
        assert not await gateway.holds(await gateway.map(4001, 4001))


@pytest.mark.trio
async def test_a_port_that_is_taken_is_replaced_by_another() -> None:
    def busy(action: str, text: str) -> bytes:
        taken = action == "AddPortMapping" and "<NewExternalPort>4001<" in text
        return fault("718") if taken else honest(action, text)

    async with routed(busy) as (_, location):
        mapping = await (await Upnp.at(location)).map(4001, 4001)
        assert mapping.outside != 4001 and mapping.inside == 4001


@pytest.mark.trio
async def test_a_router_of_permanent_mappings_gets_one() -> None:
    def old(action: str, text: str) -> bytes:
        lease = action == "AddPortMapping" and "<NewLeaseDuration>3600<" in text
        return fault("725") if lease else honest(action, text)

    async with routed(old) as (router, location):
        assert (await (await Upnp.at(location)).map(4001, 4001)).outside == 4001
    assert router.actions.count("AddPortMapping") == 2


@pytest.mark.trio
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        leaves(NewExternalIPAddress="203.0.113.9") + b" " * MAX_ANSWER_BYTES,
        http(b"<html>"),
        http(b"", "302 Found\r\nLocation: http://203.0.113.9/"),
        fault("606"),
        leaves(NewExternalIPAddress="not an address"),
    ],
    ids=["nothing", "cut", "endless", "html", "redirected", "refused", "no-address"],
)
async def test_a_router_that_answers_nonsense_maps_nothing(answer: bytes) -> None:
    async with routed(lambda action, text: honest(action, text) if action == "GET" else answer) as (_, location):
        gateway = await Upnp.at(location)
        with pytest.raises(NetworkError):
            await gateway.map(4001, 4001)


@pytest.mark.trio
async def test_a_router_that_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upnp_gateway, "HTTP_S", 0.05)
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, _say_nothing, [listener])
        with trio.fail_after(DEADLINE_S), pytest.raises(NetworkError):
            await Upnp.at(f"http://127.0.0.1:{listener.socket.getsockname()[1]}/root.xml")
        nursery.cancel_scope.cancel()


async def _say_nothing(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


@pytest.mark.trio
async def test_nobody_outside_the_local_network_is_asked() -> None:
    with pytest.raises(NetworkError, match="not in a local network"):
        await Upnp.at("http://9.9.9.9/root.xml")

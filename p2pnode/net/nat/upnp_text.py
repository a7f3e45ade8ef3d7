"""The texts of UPnP's port mapping: SSDP questions and answers, a router's description, SOAP calls (IGD 1 and 2). Pure.

Everything in them is written by whoever is in the local network. Lengths are limited by who reads them (`upnp_gateway`); here a
description leads nowhere but to the host that gave it, and XML with a document type is not looked at: entities cannot grow.
Used by `upnp_gateway`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from p2pnode.errors import DecodeError

GROUP, PORT = "239.255.255.250", 1900
SEARCHED = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
"""Routers of version 2 answer to it too."""
SERVICES = (
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
)
"""Any of them forwards ports; the first that a description has is taken."""
MAX_URL_CHARACTERS = 256
MAX_ELEMENTS = 2000
"""Of a description that is looked through: real ones have about a hundred."""
_PATH = re.compile(r"/[!-~]*")


@dataclass(frozen=True, slots=True)
class Url:
    """Of one host: nothing else of a URL is of use here."""

    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Control:
    """Where a service is called."""

    url: Url
    service: str


def search() -> bytes:
    """The question to everybody in the local network."""
    lines = ("M-SEARCH * HTTP/1.1", f"HOST: {GROUP}:{PORT}", 'MAN: "ssdp:discover"', "MX: 1", f"ST: {SEARCHED}", "", "")
    return "\r\n".join(lines).encode()


def decode_location(datagram: bytes, sender: str) -> Url:
    """Where the description of who answered lies: on his own machine, else DecodeError."""
    text = datagram.decode("latin-1")
    status, _, rest = text.partition("\r\n")
    if not re.fullmatch(r"HTTP/1\.[01] 200\b.*", status):
        raise DecodeError("not an answer to a search")
    for line in rest.split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "location":
            return parse_url(value.strip(), sender)
    raise DecodeError("an answer without a location")


def parse_url(text: str, host: str) -> Url:
    """A plain http URL of this very host (an IPv4 address). DecodeError: it leads elsewhere, or is none."""
    if len(text) > MAX_URL_CHARACTERS:
        raise DecodeError("a URL that is too long")
    try:
        parts = urlsplit(text)
        port = parts.port or 80
        where = str(ipaddress.IPv4Address(parts.hostname or ""))
    except ValueError as error:
        raise DecodeError("not a URL of an IPv4 address") from error
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme != "http" or where != host or parts.username is not None or not _PATH.fullmatch(path):
        raise DecodeError("a URL that leads elsewhere")
    return Url(where, port, path)


def decode_description(document: bytes, base: Url) -> Control:
    """The service that forwards ports. DecodeError if the router describes none on its own host."""
    services: dict[str, str] = {}
    for count, element in enumerate(_parse(document).iter()):
        if count > MAX_ELEMENTS:
            raise DecodeError("a description without an end")
        if _name(element) == "service":
            said = {_name(child): (child.text or "").strip() for child in element}
            services.setdefault(said.get("serviceType", ""), said.get("controlURL", ""))
    for service in SERVICES:
        if control := services.get(service):
            whole = f"http://{base.host}:{base.port}{base.path}"
            try:
                return Control(parse_url(urljoin(whole, control[: MAX_URL_CHARACTERS + 1]), base.host), service)
            except ValueError as error:
                raise DecodeError("not a URL") from error
    raise DecodeError("a router that describes no forwarding of ports")


def encode_get(url: Url) -> bytes:
    """A request of HTTP/1.0: its answer ends with the connection, and has no chunks."""
    return f"GET {url.path} HTTP/1.0\r\nHost: {url.host}:{url.port}\r\n\r\n".encode()


def encode_call(control: Control, action: str, arguments: Mapping[str, str | int]) -> bytes:
    """A SOAP call."""
    inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in arguments.items())
    body = (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>'
        f'<u:{action} xmlns:u="{control.service}">{inner}</u:{action}></s:Body></s:Envelope>'
    ).encode()
    head = (
        f"POST {control.url.path} HTTP/1.0",
        f"Host: {control.url.host}:{control.url.port}",
        'Content-Type: text/xml; charset="utf-8"',
        f'SOAPAction: "{control.service}#{action}"',
        f"Content-Length: {len(body)}",
        "\r\n",
    )
    return "\r\n".join(head).encode() + body


def decode_http(data: bytes) -> tuple[int, bytes]:
    """(status, body) of a whole answer. DecodeError if it is none. A redirection is a status like any other: nobody follows it."""
    head, mark, body = data.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.[01] (\d{3})\b", head)
    if not mark or not found:
        raise DecodeError("not an answer of HTTP")
    return int(found[1]), body


def decode_answer(document: bytes) -> dict[str, str]:
    """The leaves of a SOAP answer by name: of a result, or of a fault (`errorCode`). DecodeError."""
    leaves: dict[str, str] = {}
    for count, element in enumerate(_parse(document).iter()):
        if count > MAX_ELEMENTS:
            raise DecodeError("an answer without an end")
        if not len(element):
            leaves[_name(element)] = (element.text or "").strip()
    return leaves


def _parse(document: bytes) -> ElementTree.Element:
    try:
        text = document.decode("utf-8")
        if "<!" in text.replace("<!--", "").replace("<![CDATA[", ""):
            raise DecodeError("XML with a document type")
        return ElementTree.fromstring(text.strip("\ufeff \r\n\t\0"))
    except (UnicodeDecodeError, ElementTree.ParseError, ValueError) as error:
        raise DecodeError("not XML") from error


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""

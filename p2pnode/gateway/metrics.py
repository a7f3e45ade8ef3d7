"""Metrics for Prometheus on 127.0.0.1, when a setting asks for them: one path, one answer, no token, because nothing in it says who.

Only requests that name this machine are answered, so that a page of elsewhere cannot read them through a browser.
Called by `gateway.at_start`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from p2pnode.gateway.access import Access
from p2pnode.gateway.door import listen_here
from p2pnode.gateway.messages import Request, Response
from p2pnode.gateway.server import Server

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def serve_metrics(text: Callable[[], Awaitable[str]], port: int, opened: Callable[[], None]) -> None:
    """Answer `/metrics` with what `text` gives, for ever; `opened` when that begins. RefusedError if the port is taken."""
    listener = await listen_here(port)
    opened()
    access = Access(port)

    async def answer(request: Request) -> Response:
        if not access.is_our_host(request):
            return _said(403, "this machine only, by the name 127.0.0.1\n")
        if request.path != (b"metrics",):
            return _said(404, "the metrics are at /metrics\n")
        if request.method not in ("GET", "HEAD"):
            return _said(405, "GET or HEAD\n")
        return _said(200, await text(), CONTENT_TYPE)

    try:
        await trio.serve_listeners(Server(answer).serve, [listener])
    finally:
        listener.socket.close()


def _said(status: int, text: str, kind: str = "text/plain; charset=utf-8") -> Response:
    body = text.encode()
    headers = {"content-type": kind, "cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(status, headers, body, len(body))

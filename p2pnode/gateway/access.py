"""Who may see what through the gateway: the token, the capability of one content, and the Host header.

There are no cookies, so nothing that a browser sends by itself opens anything. The token stands in a path or an Authorization header
and opens everything; pages hand out capabilities, each of which opens one content and nothing else, so that a content which learns
its own address has learnt nothing (decision 13). Pure but for the random token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from p2pnode.core.cid import Cid
from p2pnode.gateway.messages import Request

TOKEN_BYTES = 20
"""Random bytes of a token, new each time the gateway opens: 32 characters."""
CAPABILITY_BYTES = 20
_PURPOSE = b"capability for "


class Access:
    """The rules of one opened gateway."""

    def __init__(self, port: int) -> None:
        self.token = _text(secrets.token_bytes(TOKEN_BYTES))
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        if port == 80:
            self._hosts |= {"127.0.0.1", "localhost"}

    def is_our_host(self, request: Request) -> bool:
        """Whether the request names this machine: a page of elsewhere whose name was turned to 127.0.0.1 names its own."""
        return request.headers.get("host", "").strip().lower() in self._hosts

    def is_token(self, text: bytes) -> bool:
        """Whether that is the token."""
        return hmac.compare_digest(text, self.token.encode())

    def is_authorised(self, request: Request) -> bool:
        """Whether the request carries the token in its Authorization header."""
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and self.is_token(value.strip().encode("latin-1", "replace"))

    def capability(self, root: Cid) -> str:
        """What opens this content and nothing else."""
        digest = hmac.digest(self.token.encode(), _PURPOSE + root.to_bytes(), hashlib.sha256)
        return _text(digest[:CAPABILITY_BYTES])

    def is_capability(self, text: bytes, root: Cid) -> bool:
        """Whether that opens this content."""
        return hmac.compare_digest(text, self.capability(root).encode())


def _text(data: bytes) -> str:
    return base64.b32encode(data).decode().lower()

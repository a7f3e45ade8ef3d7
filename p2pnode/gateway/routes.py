"""What is asked, who may have it, who answers: the one place where the gateway decides.

    /TOKEN/                        the works of this node
    /CAPABILITY/ipfs/CID/path      files of one content; the capability is on the page above, and opens nothing else
    /TOKEN/ipfs/CID...             the same for programs: verifiable formats at once, files by way of the capability
    /ipfs/CID...                   with `Authorization: Bearer TOKEN`

Everything else is refused alike, whether it exists or not.
"""

from __future__ import annotations

import logging
from urllib.parse import quote

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.dag import inline_block
from p2pnode.errors import (
    ChangedError,
    DecodeError,
    NetworkError,
    NotFoundError,
    P2pnodeError,
    RefusedError,
    StoreError,
    TimedOutError,
)
from p2pnode.gateway.access import Access
from p2pnode.gateway.files import Files
from p2pnode.gateway.messages import Request, Response
from p2pnode.gateway.pages import Shown, error_page, works_page
from p2pnode.gateway.trustless import BadRequest, NotAcceptable, Trustless, wanted
from p2pnode.ports import Store
from p2pnode.services.reading import Reading

log = logging.getLogger("p2pnode.gateway")

LISTED_WORKS = 1000
"""Works on the first page."""
EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
"""On every response, ours and theirs."""
_STATUS: tuple[tuple[type[P2pnodeError], int], ...] = (
    (NotFoundError, 404),
    (DecodeError, 404),
    (ChangedError, 410),
    (RefusedError, 429),
    (TimedOutError, 504),
    (NetworkError, 504),
    (StoreError, 500),
)


class Routes:
    """Answers requests of one opened gateway."""

    def __init__(self, store: Store, reading: Reading, access: Access) -> None:
        self._store, self._access = store, access
        self._files, self._trustless = Files(store, reading), Trustless(store)

    async def answer(self, request: Request) -> Response:
        """The response, headers complete. Raises nothing of ours; what is unforeseen is the server's to log."""
        try:
            response = await self._route(request)
        except (BadRequest, NotAcceptable) as error:
            response = error_page(400 if isinstance(error, BadRequest) else 406, str(error))
        except trio.TooSlowError:
            response = error_page(
                504, "nothing of it came in time", "it goes on being looked for; try again in a while"
            )
        except P2pnodeError as error:
            status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
            response = error_page(status, error.message, error.hint)
        response.headers = {**EVERYWHERE, **response.headers}
        return response

    async def _route(self, request: Request) -> Response:
        if not self._access.is_our_host(request):
            return error_page(403, "this address is not asked under that name")
        if request.method not in ("GET", "HEAD"):
            refusal = error_page(405, "only reading is possible here")
            refusal.headers["allow"] = "GET, HEAD"
            return refusal
        if "service-worker" in request.headers:
            return error_page(400, "no content may run a service worker here")
        first, *rest = request.path
        if first == b"ipfs" and self._access.is_authorised(request):
            return await self._content(request, [first, *rest], prefix="")
        if self._access.is_token(first):
            return await self._with_token(request, rest)
        if rest[:1] == [b"ipfs"] and len(rest) > 1:
            root = _cid(rest[1])
            if root is not None and self._access.is_capability(first, root):
                return await self._content(request, rest, prefix=first.decode("ascii"))
        refusal = error_page(401, "this needs the address that was given to you", "see: p2pnode gateway")
        refusal.headers["www-authenticate"] = "Bearer"
        return refusal

    async def _with_token(self, request: Request, rest: list[bytes]) -> Response:
        if rest in ([], [b""]):
            return await self._works() if rest else Response(301, {"location": f"/{self._access.token}/"}, length=0)
        if rest[:1] == [b"ipfs"] and len(rest) > 1:
            root = _cid(rest[1])
            if root is not None and wanted(request) is None:
                path = "/".join(quote(part, safe="") for part in rest)
                return Response(302, {"location": f"/{self._access.capability(root)}/{path}"}, length=0)
            return await self._content(request, rest, prefix=self._access.token)
        return error_page(404, "there is no such page here")

    async def _content(self, request: Request, path: list[bytes], prefix: str) -> Response:
        """`path` is ipfs, CID, names; `prefix` what stands before it in the URL."""
        root = _cid(path[1]) if len(path) > 1 else None
        if root is None:
            raise BadRequest("that is no CID")
        names = path[2:-1] if path[-1] == b"" and len(path) > 2 else path[2:]
        if b"" in names:
            raise BadRequest("a path has no empty names")
        chosen = wanted(request)
        if "only-if-cached" in request.headers.get("cache-control", "") and not await self._is_here(root):
            return error_page(412, "this is not here")
        if chosen is not None:
            return await self._trustless.answer(request, root, names, chosen)
        place = f"{'/' + prefix if prefix else ''}/ipfs/{root}/"
        return await self._files.answer(request, root, names, place)

    async def _is_here(self, cid: Cid) -> bool:
        return inline_block(cid) is not None or await self._store.read_block(cid) is not None

    async def _works(self) -> Response:
        works, total = await self._store.read(lambda tx: (tx.works(limit=LISTED_WORKS), tx.count_works()))
        shown = [
            Shown(
                work.title,
                ", ".join(work.creators),
                work.licence,
                work.bytes,
                f"/{self._access.capability(work.root)}/ipfs/{work.root}/",
            )
            for work in works
        ]
        return await trio.to_thread.run_sync(works_page, shown, total)


def _cid(text: bytes) -> Cid | None:
    try:
        return Cid.parse(text.decode("ascii"))
    except (DecodeError, UnicodeDecodeError):
        return None

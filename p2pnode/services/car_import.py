"""The journey "car import": an archive of anybody's becomes contents of the library, and one of them a work if the user names it.

The file is read twice: once to note where its sections lie, once in the order in which the store wants them; nothing of it is believed
before it was hashed. Each content is complete or not there: what a crash or an error cut short is taken up by the next import, or
by `get`. Called by the control method `car.import`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import trio

from p2pnode.core.cid import Cid
from p2pnode.core.skeleton import MAX_CONTENT_BYTES
from p2pnode.errors import DecodeError, RefusedError
from p2pnode.local.car_file import CarFile
from p2pnode.ports import Json, Store, WallClock
from p2pnode.services.admission import Admission
from p2pnode.services.me import Me
from p2pnode.services.new_work import NewWork, sign_work
from p2pnode.services.take_content import Taken, keep_content, take_content

OnProgress = Callable[[Json], None]


class CarImport:
    """Importing archives, on one node."""

    def __init__(
        self, store: Store, me: Me, admission: Admission, clock: WallClock, wake_outbox: Callable[[], None]
    ) -> None:
        self._store, self._me, self._admission = store, me, admission
        self._clock, self._wake_outbox = clock, wake_outbox

    async def run(self, path: str, new: NewWork | None, *, on_progress: OnProgress) -> Json:
        """Import every root of the archive. The answer of `p2pnode car import`.

        UsageError, DecodeError: it is no archive, or a damaged one; RefusedError: no root, or several where one work is wanted;
        otherwise as `take_content`.
        """
        if new is not None:
            new.check()
        with await trio.to_thread.run_sync(CarFile, path) as car:
            roots = list(dict.fromkeys(car.roots))
            _check_roots(path, roots, new)
            await scan(car, on_progress)
            if car.damage is not None:
                raise DecodeError(f"{path} is damaged {car.damage}", hint="nothing was taken of it; get it again")
            name = new.description.title if new is not None else None
            items = []
            for root in roots:
                taken = await take_content(
                    self._store,
                    car.block,
                    root,
                    name or str(root),
                    max_bytes=MAX_CONTENT_BYTES,
                    on_bytes=partial(_tell, on_progress, str(root)),
                )
                items.append(await self._keep(taken, new))
        self._wake_outbox()
        return {"items": items, "blocks": len(car)}

    async def _keep(self, taken: Taken, new: NewWork | None) -> Json:
        content, skeleton = taken.content, taken.skeleton
        public = _is_public(taken, new)
        now = self._clock()
        await self._store.write(lambda tx: keep_content(tx, skeleton.root, now, public=public))
        item: Json = {
            "cid": str(skeleton.root),
            "bytes": skeleton.size,
            "files": len(skeleton.files),
            "path": content.base,
            "fresh": taken.fresh,
            "left_out": len(skeleton.symlinks),
            "renamed": len(skeleton.renamed),
        }
        if new is not None:
            size, files = skeleton.size, len(skeleton.files)
            item |= await sign_work(
                self._store, self._me, self._admission, self._clock, new, skeleton.root, size, files
            )
        return item


async def scan(car: CarFile, on_progress: OnProgress) -> None:
    """Note every section, in a worker thread; cancelled like anything else."""

    def tell(at: int) -> None:
        trio.from_thread.check_cancelled()
        trio.from_thread.run_sync(on_progress, {"bytes": at, "total": car.size, "reason": "looking through the file"})

    await trio.to_thread.run_sync(car.scan, tell)


def _is_public(taken: Taken, new: NewWork | None) -> bool:
    """An import never shows what was private here, and never hides what was public."""
    if new is None:
        return taken.fresh or taken.content.public
    return not new.private or (taken.content.public and not taken.fresh)


def _check_roots(path: str, roots: list[Cid], new: NewWork | None) -> None:
    if not roots:
        raise RefusedError(f"{path} names no root, so nobody knows what it is meant to hold")
    if new is not None and len(roots) > 1:
        raise RefusedError(
            f"{path} has {len(roots)} roots, and a work is one content", hint="import it without --title"
        )


def _tell(on_progress: OnProgress, cid: str, done: int, total: int) -> None:
    on_progress({"bytes": done, "total": total, "path": cid})

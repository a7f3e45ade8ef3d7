"""Making a work of a content that is here already: manifest, pin, what is to be told, and in a circle the proposal, in ONE transaction.

For contents that were not read from the user's files but came some other way; `services.publish` does the same for what it reads.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from p2pnode.core.cid import Cid
from p2pnode.core.ids import CIRCLE_PREFIX, NO_CIRCLE, QUESTION_PREFIX, WORK_PREFIX, CircleId, id_text
from p2pnode.core.manifest import describe, first
from p2pnode.core.record import Value
from p2pnode.errors import RefusedError, UsageError
from p2pnode.local.licence import check_licence
from p2pnode.ports import Json, Store, Tx, WallClock, Work
from p2pnode.services.admission import Admission
from p2pnode.services.ballots import list_in_circle
from p2pnode.services.catalogue import put_manifest
from p2pnode.services.me import Me
from p2pnode.services.outbox import enqueue_work
from p2pnode.services.publish import NONCE_BYTES, Description


@dataclass(frozen=True, slots=True)
class NewWork:
    """What to say of a content, and where. `circle` None: under the profile key."""

    description: Description
    circle: CircleId | None
    private: bool

    def check(self) -> None:
        """UsageError for what cannot be published, said before anything long is begun."""
        if self.circle is not None and self.private:
            raise UsageError("a work cannot be private and in a circle", hint="leave out --private or --circle")
        self.fields(Cid.v1(0x55, bytes(32)), 0, 0)

    def fields(self, root: Cid, size: int, files: int) -> dict[str, Value]:
        """The `work` map of its manifest."""
        said = self.description
        return describe(
            title=said.title,
            root=root,
            bytes=size,
            files=files,
            kind=said.kind,
            summary=said.summary,
            creators=said.creators,
            licence=check_licence(said.licence) if said.licence else "",
            language=said.language,
            tags=said.tags,
            identifiers=said.identifiers,
            sources=said.sources,
        )


async def sign_work(
    store: Store, me: Me, admission: Admission, clock: WallClock, new: NewWork, root: Cid, size: int, files: int
) -> Json:
    """Sign the first manifest of a work with this content. The members of `publish`'s answer that tell what was made.

    RefusedError: the same author published this content under that title already.
    """
    circle, now, nonce = new.circle or NO_CIRCLE, clock(), secrets.token_bytes(NONCE_BYTES)
    fields = new.fields(root, size, files)

    def commit(tx: Tx) -> tuple[Work, bytes | None]:
        key = me.key(tx, circle)
        for held in tx.works_with_root(root):
            if held.author == key.public and held.title == fields["title"] and held.state == "own":
                raise RefusedError(
                    f"this very content is already published under that title, as {id_text(WORK_PREFIX, held.id)}"
                )
        seq, created = tx.next_seq(key.public, now)
        record = first(key, fields, circle=circle, nonce=nonce, seq=seq, created=created)
        row = put_manifest(tx, record, state="own", private=new.private, added=now)
        assert row is not None, "a first manifest names its own work"
        tx.pin(root)
        if not new.private:
            tx.set_public(root, True)
        question = None
        if circle == NO_CIRCLE:
            tx.put_record(record, own=True)
        else:
            admission.admit_own(tx, record, now)
            _, _, question = list_in_circle(tx, me, admission, circle, record, now)
        if not new.private:
            enqueue_work(tx, row, now)
        return row, question

    row, question = await store.write(commit)
    if circle != NO_CIRCLE:
        admission.changed(circle)
    answer: Json = {
        "work": id_text(WORK_PREFIX, row.id),
        "signed_as": "profile" if circle == NO_CIRCLE else "pseudonym in " + id_text(CIRCLE_PREFIX, circle),
    }
    return answer if question is None else answer | {"proposal": id_text(QUESTION_PREFIX, question)}

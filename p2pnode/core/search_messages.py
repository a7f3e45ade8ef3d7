"""The messages of `/p2pnode/search/1`: one question, one answer, then the stream ends.

Question: canonical map `{text, limit}` or `{work, limit}`. Answer: canonical map `{works}`, an array of signed manifests (64 bytes of
signature, then the body). A decoder raises DecodeError and nothing else. Who asks shows its question to whom it asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from p2pnode.core.encoding import decode_map, encode
from p2pnode.core.ids import ID_BYTES, WorkId
from p2pnode.core.record import MANIFEST, Record
from p2pnode.core.records import decode_signed, encode_signed
from p2pnode.core.understanding import is_understood
from p2pnode.errors import DecodeError
from p2pnode.limits import SEARCH_ANSWER_BYTES, SEARCH_HITS

PROTOCOL = "/p2pnode/search/1"
QUESTION_BYTES = 2048
"""Bytes of a question: the text below in any script, and room for a later field."""
QUESTION_CHARACTERS = 256
"""Characters of a text that is searched: longer than any title anybody types."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: works that match `text`, or the one work of that id."""

    text: str = ""
    work: WorkId | None = None
    limit: int = SEARCH_HITS


def encode_question(question: Question) -> bytes:
    """Bytes of a question."""
    if question.work is not None:
        return encode({"work": bytes(question.work), "limit": question.limit})
    return encode({"text": question.text[:QUESTION_CHARACTERS], "limit": question.limit})


def decode_question(data: bytes) -> Question:
    """Read a question; its limit is cut to ours."""
    fields = decode_map(data, limit=QUESTION_BYTES)
    text, work, limit = fields.get("text", ""), fields.get("work"), fields.get("limit", SEARCH_HITS)
    if not isinstance(text, str) or len(text) > QUESTION_CHARACTERS or not isinstance(limit, int) or limit < 1:
        raise DecodeError("a search has a text and a limit")
    if work is None:
        return Question(text=text, limit=min(limit, SEARCH_HITS))
    if not isinstance(work, bytes) or len(work) != ID_BYTES:
        raise DecodeError("a work's id has 32 bytes")
    return Question(work=WorkId(work), limit=1)


def encode_answer(manifests: Iterable[Record]) -> bytes:
    """As many of these manifests as fit into one answer, in their order."""
    chosen: list[bytes] = []
    size = 64  # the map, its key and the array's head
    for record in manifests:
        signed = encode_signed(record)
        if len(chosen) == SEARCH_HITS or size + len(signed) + 5 > SEARCH_ANSWER_BYTES:
            break
        size += len(signed) + 5
        chosen.append(signed)
    return encode({"works": tuple(chosen)})


def decode_answer(data: bytes) -> Sequence[Record]:
    """The manifests of an answer, each with a valid signature and a readable body; one bad one spoils the answer."""
    works = decode_map(data, limit=SEARCH_ANSWER_BYTES).get("works")
    if not isinstance(works, tuple) or len(works) > SEARCH_HITS:
        raise DecodeError("an answer has an array of at most 50 works")
    records = []
    for signed in works:
        if not isinstance(signed, bytes):
            raise DecodeError("a work in an answer is bytes")
        record = decode_signed(signed)
        if record.kind != MANIFEST or not is_understood(record):
            raise DecodeError("an answer holds something that is no manifest")
        records.append(record)
    return records

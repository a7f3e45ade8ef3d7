"""The journey "search": local hits at once, then connected peers, then strangers found through the DHT by the words.

One hop only: whoever is asked answers from its own catalogue. Signatures are checked before a hit is shown. Everything ends at
the caller's time limit; an answer that came before stays. What is searched is visible to those asked (see the threat model).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

import trio

from p2pnode.core.ids import NO_CIRCLE, PeerId, RecordId, WorkId
from p2pnode.core.manifest import Manifest
from p2pnode.core.record import Record
from p2pnode.core.search_messages import (
    PROTOCOL,
    QUESTION_BYTES,
    Question,
    decode_answer,
    decode_question,
    encode_answer,
    encode_question,
)
from p2pnode.core.words import query_words, word_key
from p2pnode.errors import DecodeError, NetworkError, NotFoundError, PeerError
from p2pnode.limits import SEARCH_ANSWER_BYTES, SEARCH_HITS, SEARCH_PEERS, SEARCH_TIMEOUT_S, WORDS_PER_WORK
from p2pnode.ports import Json, Network, Store, Stream, Tx, WallClock, Work
from p2pnode.services.catalogue import hit, put_manifest, verdicts, work_id
from p2pnode.services.framing import receive_frame, send_frame
from p2pnode.services.lens import is_blocked
from p2pnode.services.rates import TokenBuckets
from p2pnode.services.resolve import find_work, whole_work_id
from p2pnode.services.views import Views

ASK_TIMEOUT_S = 4.0
"""Seconds for one peer's answer: a slow peer must not use up the whole search."""
QUESTIONS_PER_S, QUESTION_BURST = 5.0, 20
"""Questions that one peer may ask us: somebody types; a crawler waits."""
HEARD_FROM_WORKS = 2000
"""Works for which we remember who answered with them, so that a fetch can begin at once."""


@dataclass(slots=True)
class _Running:
    """One search: who was asked, what was found, and whom to tell."""

    question: Question
    tell: Callable[[Work, int], Awaitable[None]]
    asked: set[PeerId] = field(default_factory=set)
    strangers: set[PeerId] = field(default_factory=set)
    """Those of them whom the DHT named."""
    answered: int = 0
    found: dict[WorkId, set[PeerId]] = field(default_factory=dict)


class Search:
    """Asking and answering. `members_first` orders peers so that those of our circles are asked before others."""

    def __init__(
        self,
        store: Store,
        network: Network,
        views: Views,
        clock: WallClock,
        members_first: Callable[[Iterable[PeerId]], list[PeerId]],
    ) -> None:
        self._store, self._network, self._views, self._clock = store, network, views, clock
        self._members_first = members_first
        self._buckets = TokenBuckets(QUESTIONS_PER_S, QUESTION_BURST)
        self._heard_from: dict[WorkId, set[PeerId]] = {}

    def start(self) -> None:
        """Answer others from now on."""
        self._network.serve(PROTOCOL, self._answer, streams_per_peer=4)

    def heard_from(self, work: WorkId) -> list[PeerId]:
        """Peers that answered a search with this work."""
        return sorted(self._heard_from.get(work, ()))

    async def run(
        self, text: str, *, local: bool, timeout_s: float, on_hit: Callable[[Json], None], limit: int = SEARCH_HITS
    ) -> Json:
        """Search; `on_hit` gets each work once as it comes (again when more peers have it). The final list is the result."""
        hits: dict[WorkId, Json] = {}
        works = await self._store.read(lambda tx: tx.search(text, limit=limit))
        shown = [work for work in works if local or work.state != "heard"]
        said = await verdicts(self._store, self._views, [work.id for work in shown])
        for work in shown:
            hits[work.id] = hit(work, said[work.id], local=work.state != "heard")
            on_hit(hits[work.id])

        async def tell(work: Work, providers: int) -> None:
            known = hits.get(work.id)
            if known is None and len(hits) >= limit:
                return
            mine = known is not None and known["local"]
            said = await verdicts(self._store, self._views, [work.id])
            hits[work.id] = hit(work, said[work.id], local=mine, providers=providers + mine)
            on_hit(hits[work.id])

        running = _Running(Question(text=text), tell)
        if not local and text.strip():
            with trio.move_on_after(timeout_s):
                await self._ask_everybody(running, [word_key(word) for word in query_words(text)[:WORDS_PER_WORK]])
        return {"items": list(hits.values()), "asked": len(running.asked), "answered": running.answered}

    async def find(self, text: str) -> Work:
        """A work by its id: of the catalogue, or, whole and unknown here, asked for in the network. NotFoundError if nobody has it."""
        try:
            return await self._store.read(lambda tx: find_work(tx, text))
        except NotFoundError:
            whole = whole_work_id(text)
            if whole is None:
                raise
        found = await self.find_work(whole, timeout_s=SEARCH_TIMEOUT_S)
        if found is None:
            raise NotFoundError(
                f"nobody who can be reached now knows of {text}",
                hint="connect to who has it, p2pnode peers connect MULTIADDR, or try again later",
            )
        return found

    async def find_work(self, work: WorkId, *, timeout_s: float) -> Work | None:
        """The manifest of a work that is known by its id alone: from peers, and from who provides that id in the DHT."""
        found: list[Work] = []

        async def tell(row: Work, providers: int) -> None:
            found.append(row)
            scope.cancel()

        with trio.move_on_after(timeout_s) as scope:
            await self._ask_everybody(_Running(Question(work=work), tell), [bytes(work)])
        return found[0] if found else None

    async def _ask_everybody(self, running: _Running, keys: list[bytes]) -> None:
        async with trio.open_nursery() as nursery:
            connected = [p.peer for p in self._network.peers() if PROTOCOL in p.protocols]
            self._ask_some(nursery, running, self._members_first(connected)[:SEARCH_PEERS])
            for key in keys:
                nursery.start_soon(self._ask_providers, nursery, running, key)

    async def _ask_providers(self, nursery: trio.Nursery, running: _Running, key: bytes) -> None:
        try:
            peers = await self._network.find_providers(key, limit=SEARCH_PEERS)
        except NetworkError:
            return  # the DHT is a hint: connected peers were asked already
        strangers = [peer for peer in peers if peer not in running.asked][: SEARCH_PEERS - len(running.strangers)]
        running.strangers.update(strangers)
        self._ask_some(nursery, running, strangers)

    def _ask_some(self, nursery: trio.Nursery, running: _Running, peers: Iterable[PeerId]) -> None:
        for peer in peers:
            running.asked.add(peer)
            nursery.start_soon(self._ask, running, peer)

    async def _ask(self, running: _Running, peer: PeerId) -> None:
        try:
            with trio.fail_after(ASK_TIMEOUT_S):
                manifests = await self._exchange(peer, running.question)
        except (NetworkError, trio.TooSlowError):
            return
        except DecodeError as error:
            self._network.penalise(peer, 25, f"search answer: {error.message}")
            return
        running.answered += 1
        newest = {work_id(record): record for record in manifests}
        for work, record in newest.items():
            if matches(running.question, record):
                await self._found(running, peer, [each for each in manifests if work_id(each) == work])

    async def _exchange(self, peer: PeerId, question: Question) -> list[Record]:
        stream = await self._network.open_stream(peer, PROTOCOL, timeout_s=ASK_TIMEOUT_S)
        try:
            await send_frame(stream, encode_question(question))
            answer = await receive_frame(stream, SEARCH_ANSWER_BYTES)
        finally:
            await stream.aclose()
        if answer is None:
            raise PeerError("no answer")
        return list(decode_answer(answer))

    async def _found(self, running: _Running, peer: PeerId, records: Sequence[Record]) -> None:
        """Manifests of one work: perhaps its first one, then the newest."""
        now = self._clock()
        row = await self._store.write(lambda tx: _heard(tx, records, now), durable=False)
        if row is None:
            return
        sources = self._heard_from.pop(row.id, set()) | {peer}
        self._heard_from[row.id] = sources
        while len(self._heard_from) > HEARD_FROM_WORKS:
            self._heard_from.pop(next(iter(self._heard_from)))
        running.found.setdefault(row.id, set()).add(peer)
        await running.tell(row, len(running.found[row.id]))

    async def _answer(self, stream: Stream) -> None:
        if not self._buckets.take(stream.peer):
            raise PeerError("asks more often than anybody types")
        with trio.fail_after(ASK_TIMEOUT_S):
            data = await receive_frame(stream, QUESTION_BYTES)
            if data is None:
                return
            question = decode_question(data)
            manifests = await self._store.read(lambda tx: _told(tx, _held(tx, question)))
            await send_frame(stream, encode_answer(manifests))
            await stream.send_eof()


def _held(tx: Tx, question: Question) -> list[Work]:
    """Public works that we hold and did not block: one hop only, what we merely heard of is not passed on."""
    if question.work is not None:
        work = tx.work(question.work)
        found = [work] if work and not work.private else []
    else:
        found = tx.search(question.text, limit=question.limit, public_only=True)
    return [work for work in found if work.state != "heard" and not is_blocked(tx, work.id)]


def _told(tx: Tx, works: Iterable[Work]) -> list[Record]:
    """The newest manifest of each, behind the first one where that is another: a stranger takes no revision without it."""
    manifests: list[Record] = []
    for work in works:
        first = tx.record(RecordId(work.id)) if "base" in work.manifest.fields else None
        manifests += [work.manifest] if first is None else [first, work.manifest]
    return manifests


def _heard(tx: Tx, records: Sequence[Record], now: float) -> Work | None:
    """Into the catalogue. The first manifest of a revised work is kept beside it: whoever fetches the work answers with both."""
    row: Work | None = None
    for record in records:
        row = put_manifest(tx, record, state="heard", private=False, added=now) or row
    newest = row is not None and "base" in row.manifest.fields
    for record in records:
        if newest and "base" not in record.fields and record.circle == NO_CIRCLE:
            tx.put_record(record)
    return row


def matches(question: Question, record: Record) -> bool:
    """Whether a manifest answers the question: what does not is dropped, whoever sent it."""
    if question.work is not None:
        return work_id(record) == question.work
    manifest = Manifest.of(record)
    text = " ".join([manifest.title, manifest.summary, *(c.name for c in manifest.creators), *manifest.tags])
    held = _folded(text)
    return all(any(word.startswith(wanted) for word in held) for wanted in _folded(question.text))


def _folded(text: str) -> list[str]:
    """Words without accents, as the full-text index has them: who typed `cafe` finds `Café`."""
    decomposed = unicodedata.normalize("NFKD", text)
    return query_words("".join(c for c in decomposed if not unicodedata.combining(c)))

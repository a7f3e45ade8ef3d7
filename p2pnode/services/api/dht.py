"""Methods about the DHT: who provides something, how far announcing came, and how much of it strangers find."""

from __future__ import annotations

import trio

from p2pnode.core.words import query_words, word_key
from p2pnode.errors import UsageError
from p2pnode.ports import Emit, Json
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.node import Node
from p2pnode.services.outbox import root_key
from p2pnode.services.params import Params

MOST_SAMPLED = 1000
LONGEST_S = 60.0


async def providers(node: Node, params: Params, emit: Emit) -> Json:
    """Who provides a work, or a word: one look-up, and how long it took. UsageError for a text that is no one word."""
    work, word = params.optional_text("work"), params.optional_text("word")
    timeout_s = params.number("timeout_s", 10.0, least=0.1, most=LONGEST_S)
    params.end()
    if (work is None) == (word is None):
        raise UsageError("give either a work or a word")
    if word is not None:
        words = query_words(word)
        if len(words) != 1:
            raise UsageError("that is not one word", hint="a search looks for several: p2pnode search TEXT")
        key = word_key(words[0])
    else:
        root, _ = await node.transfers.resolve(str(work))
        key = root_key(root)
    began = trio.current_time()
    found = await node.network.find_providers(key, timeout_s=timeout_s)
    return {"items": [{"peer_id": peer} for peer in found], "seconds": round(trio.current_time() - began, 4)}


async def announced(node: Node, params: Params, emit: Emit) -> Json:
    """How far announcing came; with a sample, how many of so many random keys of ours a stranger finds."""
    sample = int(params.number("sample", 0, least=0, most=MOST_SAMPLED))
    params.end()
    announcing = node.outbox.announcing
    answer: Json = {
        "keys": announcing.keys,
        "left": announcing.left,
        "began": None if announcing.round is None else announcing.round.began,
    }
    if sample:
        share = await announcing.share(sample)
        answer |= {"asked": share.asked, "found": share.found}
    return answer


METHODS: dict[str, ApiMethod] = {"dht.providers": providers, "dht.announced": announced}

"""Search words: under which words a work is provided in the DHT, and which words a search looks up. One function for both.

Words are case-folded (NFKC), in the order of the text. Scripts written without spaces (Chinese, Japanese, Thai, ...) are cut into
overlapping pairs of characters, so that any two neighbours find the title. Accents stay: the full-text index on each
node folds them, the DHT knows exact words only. Works by Python's Unicode tables: a difference between versions costs a
hit, never agreement. Called by publishing, search and the outbox.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator

from p2pnode.core.manifest import Manifest
from p2pnode.limits import WORDS_PER_WORK

WORD_DOMAIN = b"p2pnode/word/1"
MAX_WORD_CHARACTERS = 64
MAX_TEXT_CHARACTERS = 4_096
"""Characters of a text that are looked at: titles and queries are shorter, and others' texts are hostile."""

_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # ideographic marks
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han, compatibility
    (0x20000, 0x3FFFF),  # Han, later extensions
)


def query_words(text: str) -> list[str]:
    """Distinct words of a text, in order. Single Latin letters are noise and left out, unless there is nothing else."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text[:MAX_TEXT_CHARACTERS]).casefold())
    words = list(dict.fromkeys(word for run in _runs(folded) for word in _cut(run)))
    return [word for word in words if not _is_noise(word)] or words


def work_words(manifest: Manifest, *, limit: int = WORDS_PER_WORK) -> list[str]:
    """Under which words a work is provided: of title and tags the `limit` longest (the rarest), ties by order; kept in order."""
    words = list(dict.fromkeys(word for text in (manifest.title, *manifest.tags) for word in query_words(text)))
    if len(words) <= limit:
        return words
    chosen = set(sorted(words, key=lambda word: -len(word))[:limit])
    return [word for word in words if word in chosen]


def word_key(word: str) -> bytes:
    """The DHT key of a word: 32 bytes."""
    return hashlib.sha256(WORD_DOMAIN + word.encode()).digest()


def _runs(text: str) -> Iterator[str]:
    """Maximal runs of letters, digits and the marks that belong to them; a change to or from an unspaced script ends one too."""
    run = ""
    for character in text:
        if not _is_part(character):
            if run:
                yield run
            run = ""
        elif run and _is_unspaced(character) != _is_unspaced(run[-1]) and not unicodedata.combining(character):
            yield run
            run = character
        else:
            run += character
    if run:
        yield run


def _cut(run: str) -> Iterator[str]:
    if len(run) > 2 and _is_unspaced(run[0]):
        yield from (run[at : at + 2] for at in range(len(run) - 1))
    else:
        yield run[:MAX_WORD_CHARACTERS]


def _is_part(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character) in ("Mn", "Mc")


def _is_unspaced(character: str) -> bool:
    code = ord(character)
    return any(low <= code <= high for low, high in _UNSPACED)


def _is_noise(word: str) -> bool:
    return len(word) == 1 and word.isalpha() and unicodedata.name(word, "").startswith("LATIN")

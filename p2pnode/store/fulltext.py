"""What a person or a stranger typed, as a query that SQLite's full-text index cannot misread.

The index has a query language; none of it may be reachable from outside. So only letters, numbers and marks survive, and
every word is quoted. Case and accents are folded here, for texts and queries alike: SQLite's own folding knows little but Latin.
"""

from __future__ import annotations

import unicodedata

MAX_QUERY_WORDS = 16
"""Words of a query that count: each is a look-up in the index."""
MAX_WORD_CHARACTERS = 64
"""Characters of one word that count."""
MAX_QUERY_CHARACTERS = 2_048
"""Characters of a query that are looked at."""


def folded(text: str) -> str:
    """The same words without case, accents and typographic variants: "Γλώσσα" -> "γλωσσα", "Straße" -> "strasse"."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not "\u0300" <= c <= "\u036f")
    return unicodedata.normalize("NFC", plain.casefold())


def match_expression(text: str) -> str | None:
    """Every word of `text` as a quoted prefix, all of them required; None if it holds no word."""
    kept = "".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in folded(text[:MAX_QUERY_CHARACTERS]))
    words = [word[:MAX_WORD_CHARACTERS] for word in kept.split() if any(c.isalnum() for c in word)]
    return " ".join(f'"{word}"*' for word in words[:MAX_QUERY_WORDS]) or None

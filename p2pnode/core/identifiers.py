"""Identifiers that the rest of the world gives to works, tidied and checked when somebody types one.

Only writers call this: what a stranger's manifest says is shown as it stands. Knows the shapes of DOI, ISBN, ISSN and arXiv and the
check digits of two of them; any other scheme is taken as it is. Pure text, no look-ups.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from p2pnode.errors import UsageError

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,19}")
_DOI_PREFIX = re.compile(r"^(https?://(dx\.)?doi\.org/|doi:)", re.IGNORECASE)
_DOI = re.compile(r"10\.[0-9]{4,9}(\.[0-9]+)*/[^\s\x00-\x1f]{1,200}")
_ARXIV = re.compile(r"([0-9]{4}\.[0-9]{4,5}|[a-z-]+(\.[A-Z]{2})?/[0-9]{7})(v[0-9]{1,3})?")
_SEPARATORS = re.compile(r"[\s‐-―-]+")


def check_identifier(scheme: str, value: str) -> tuple[str, str]:
    """(scheme, value) in the form in which they are written into a manifest. UsageError says what is wrong with them."""
    scheme, value = scheme.strip().lower(), value.strip()
    if not _SCHEME.fullmatch(scheme):
        raise UsageError(f"{scheme!r} is no identifier scheme", hint="for example: doi, isbn, issn, arxiv, ark, swh")
    if not value:
        raise UsageError(f"the {scheme} identifier is empty")
    check = _CHECKS.get(scheme)
    return scheme, check(value) if check else value


def split_identifier(text: str) -> tuple[str, str]:
    """(scheme, value) of `scheme:value` as people type it, checked. A bare DOI or its web address is known as a DOI."""
    if _DOI_PREFIX.match(text) or _DOI.fullmatch(text.strip()):
        return check_identifier("doi", text)
    scheme, colon, value = text.partition(":")
    if not colon:
        raise UsageError(f"{text!r} is not an identifier", hint="write SCHEME:VALUE, for example doi:10.1000/182")
    return check_identifier(scheme, value)


def _doi(value: str) -> str:
    bare = _DOI_PREFIX.sub(
        "", value.strip()
    ).lower()  # DOIs are case-insensitive: one form, so that equal ones are equal
    if not _DOI.fullmatch(bare):
        raise UsageError(f"{value!r} is not a DOI", hint="a DOI looks like 10.1000/182")
    return bare


def _isbn(value: str) -> str:
    """Thirteen digits; a ten-digit ISBN becomes the thirteen-digit one of the same book."""
    digits = _SEPARATORS.sub("", value).upper()
    if re.fullmatch(r"[0-9]{9}[0-9X]", digits):
        total = sum((10 - at) * (10 if digit == "X" else int(digit)) for at, digit in enumerate(digits))
        if total % 11:
            raise UsageError(
                f"{value!r} is not an ISBN: its check digit does not fit", hint="look for a mistyped digit"
            )
        stem = "978" + digits[:9]
        return stem + _isbn13_check(stem)
    if not re.fullmatch(r"97[89][0-9]{10}", digits):
        raise UsageError(
            f"{value!r} is not an ISBN", hint="an ISBN has 13 digits and begins with 978 or 979, or has 10"
        )
    if digits[12] != _isbn13_check(digits[:12]):
        raise UsageError(f"{value!r} is not an ISBN: its check digit does not fit", hint="look for a mistyped digit")
    return digits


def _isbn13_check(stem: str) -> str:
    return str(-sum(int(digit) * (3 if at % 2 else 1) for at, digit in enumerate(stem)) % 10)


def _issn(value: str) -> str:
    digits = _SEPARATORS.sub("", value).upper()
    if not re.fullmatch(r"[0-9]{7}[0-9X]", digits):
        raise UsageError(f"{value!r} is not an ISSN", hint="an ISSN looks like 2049-3630")
    total = sum((8 - at) * (10 if digit == "X" else int(digit)) for at, digit in enumerate(digits))
    if total % 11:
        raise UsageError(f"{value!r} is not an ISSN: its check digit does not fit", hint="look for a mistyped digit")
    return f"{digits[:4]}-{digits[4:]}"


def _arxiv(value: str) -> str:
    bare = re.sub(r"^(https?://arxiv\.org/abs/|arxiv:)", "", value, flags=re.IGNORECASE)
    if not _ARXIV.fullmatch(bare):
        raise UsageError(f"{value!r} is not an arXiv identifier", hint="it looks like 1706.03762")
    return bare


_CHECKS: Final[Mapping[str, Callable[[str], str]]] = {"doi": _doi, "isbn": _isbn, "issn": _issn, "arxiv": _arxiv}

"""Licences as SPDX expressions, checked against the real list, so that people and programs can rely on what a manifest says.

Only the writer checks: an unknown licence in a stranger's manifest is shown as it stands. The list is loaded at the first call, since
few commands need it. Called by publishing (daemon and command line).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any

from p2pnode.errors import UsageError

MAX_EXPRESSION_CHARACTERS = 300
"""The manifest's limit."""
SUGGESTIONS = 4


def check_licence(text: str) -> str:
    """The expression as SPDX writes it (`mit or cc0-1.0` -> `MIT OR CC0-1.0`). UsageError with the nearest licences otherwise."""
    expression = " ".join(text.split())
    if not expression:
        raise UsageError("the licence is empty", hint="for example: CC-BY-SA-4.0, MIT, CC0-1.0")
    if len(expression) > MAX_EXPRESSION_CHARACTERS:
        raise UsageError(f"the licence has {len(expression)} characters, more than {MAX_EXPRESSION_CHARACTERS}")
    licensing = _licensing()
    unknown = _unknown(licensing, expression)
    if unknown:
        raise UsageError(f"{unknown[0]!r} is not on the SPDX licence list", hint=_nearest(licensing, unknown[0]))
    try:
        normal = str(licensing.parse(expression, validate=True, strict=True).render())
    except Exception as error:  # the library raises classes of two packages, and plain ones on odd input
        raise UsageError(
            f"{expression!r} is not a licence expression", hint="combine licences with AND, OR and WITH, and brackets"
        ) from error
    return normal


def is_allowed(expression: str, allowed: Collection[str]) -> bool:
    """Whether a work under `expression` may be used under some of the `allowed` licences alone: of `A OR B` one suffices, of `A AND B` not.

    An expression that cannot be read is not allowed. An exception (`WITH`) only gives more rights, so its licence decides.
    """
    try:
        parsed = _licensing().parse(expression, validate=True, strict=True)
    except Exception:  # as in check_licence: the library raises classes of two packages, and plain ones on odd input
        return False
    return parsed is not None and _holds(parsed, frozenset(allowed))


def _holds(part: Any, allowed: frozenset[str]) -> bool:
    operator = getattr(part, "operator", "").strip()
    if operator in ("AND", "OR"):
        each = (_holds(argument, allowed) for argument in part.args)
        return all(each) if operator == "AND" else any(each)
    return str(getattr(part, "license_symbol", part).key) in allowed


@lru_cache(maxsize=1)
def _licensing() -> Any:
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


def _unknown(licensing: Any, expression: str) -> list[str]:
    """The parts of an expression that are on no list; none if it cannot be cut into parts."""
    try:
        return [str(key) for key in licensing.unknown_license_keys(expression)]
    except Exception:  # as above; the parse that follows says what is wrong
        return []


def _nearest(licensing: Any, wanted: str) -> str:
    known = {key.lower(): key for key in licensing.known_symbols if not key.startswith("LicenseRef-")}
    tidy = re.sub(r"(?<=[a-uw-z])v?(?=[0-9])", "-", wanted.lower().replace(" ", "-"))  # gplv3 -> gpl-3
    near = [key for key in sorted(known, reverse=True) if key.startswith(tidy)][:SUGGESTIONS]  # newest versions first
    near += difflib.get_close_matches(tidy, sorted(known), n=SUGGESTIONS, cutoff=0.6)
    names = list(dict.fromkeys(known[key] for key in near))[:SUGGESTIONS]
    if "public" in tidy:
        return "to give a work to everybody: CC0-1.0"
    return f"did you mean {', '.join(names)}?" if names else "the list is at https://spdx.org/licenses"

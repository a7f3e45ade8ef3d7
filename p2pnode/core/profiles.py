"""Ready-made rules for a new circle, in plain words: who they suit and what they say. Chosen when a circle is founded; changed later by
a charter change like any rule.

Whatever the profile, every class of decision starts with B = 0 and q = 1 (design 4.3): a lone founder can act at once. What differs is
how long one person vouches for another, and which licences the circle takes. Pure data, light enough for the command line to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

OPEN_CONTENT: Final = (
    "CC0-1.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "GFDL-1.3-only",
    "GFDL-1.3-or-later",
    "PDDL-1.0",
)
"""Licences of free cultural works (freedomdefined.org), as SPDX names them."""
OPEN_SOFTWARE: Final = (
    "0BSD",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "EUPL-1.2",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "ISC",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "MIT",
    "MPL-2.0",
    "Zlib",
)
"""Free-software licences that most projects use; others are one charter change away."""
A_YEAR, FOR_FRIENDS, FOR_STUDY = 365, 730, 183
"""Days that a vouch holds."""


@dataclass(frozen=True, slots=True)
class Profile:
    """`title` for a choice on screen, `words` what it means in sentences; the rest goes into the charter. No licences: any."""

    title: str
    words: str
    vouch_days: int = A_YEAR
    licences: tuple[str, ...] = ()


PROFILES: Final[Mapping[str, Profile]] = {
    "friends": Profile(
        "a group of friends",
        "Any work, any licence. A vouch holds for two years: you know each other.",
        vouch_days=FOR_FRIENDS,
    ),
    "study": Profile(
        "a study circle",
        "Any work, any licence. A vouch holds for half a year: who has gone after the course drops out by itself.",
        vouch_days=FOR_STUDY,
    ),
    "library": Profile(
        "an open library",
        "Only works under free licences (CC0, CC BY, CC BY-SA, GFDL): everybody may copy and improve what it lists.",
        licences=OPEN_CONTENT,
    ),
    "software": Profile(
        "a software project",
        "Only works under free-software licences, and documentation under CC BY, CC BY-SA or CC0.",
        licences=(*OPEN_SOFTWARE, *OPEN_CONTENT),
    ),
}
"""By the name that `circle create --profile` takes."""

"""A link as a QR code on the terminal, for a phone or another screen across the table.

Upper case throughout: links may be read so, and a code of capitals and digits has a third fewer squares.
"""

from __future__ import annotations

import sys


def print_qr(link: str) -> None:
    """Print the code, two squares a character."""
    import segno  # only here: every other command does without

    segno.make(link.upper(), micro=False, error="l").terminal(out=sys.stdout, compact=True)

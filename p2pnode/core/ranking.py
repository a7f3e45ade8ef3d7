"""The order in which a circle's works are shown: by how sure one can be that members like them, not by how many were asked.

The lower bound of Wilson's interval on the share of approvals among the ballots that count: nine of ten rank below ninety of a hundred.
Ranking decides nothing. Floats are allowed here because no verdict depends on them.
"""

from __future__ import annotations

from math import sqrt

Z = 1.96
"""Standard deviations: 95 % sure."""


def wilson(approve: int, reject: int) -> float:
    """The lower bound in 0..1; 0 where nobody voted. Source: E. B. Wilson, 1927, "Probable inference"."""
    total = approve + reject
    if not total:
        return 0.0
    share, square = approve / total, Z * Z
    middle = share + square / (2 * total)
    spread = Z * sqrt((share * (1 - share) + square / (4 * total)) / total)
    return max(0.0, (middle - spread) / (1 + square / total))

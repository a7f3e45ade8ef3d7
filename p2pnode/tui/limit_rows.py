"""Home's lines about limits and health: what the node may move and what it used, and what its examination found to be bad.

Pure functions on the answer of `node.status`; a line stands only where there is something to say. An older node says less.
"""

from __future__ import annotations

from p2pnode.core.traffic_rules import bytes_in_words
from p2pnode.tui.text import clean
from p2pnode.tui.words import Answer, number

FEW_CONNECTIONS_LEFT = 0.9
"""Share of all connections from which their number is worth a line."""


def limit_rows(status: Answer) -> list[tuple[str, str]]:
    """What went since the start, of which budgets; which rates hold now; when connections run out."""
    traffic = status.get("traffic")
    if not isinstance(traffic, dict):
        return []
    went = (
        f"{bytes_in_words(number(traffic, 'up_bytes'))} sent, {bytes_in_words(number(traffic, 'down_bytes'))} received"
    )
    budgets = [
        f"{bytes_in_words(number(traffic, f'{name}_bytes'))} of {bytes_in_words(budget)} this {name}"
        for name in ("hour", "month")
        if (budget := number(traffic, f"budget_{name}_bytes"))
    ]
    rows = [("traffic", "; ".join([went, *budgets]))]
    rates = [
        f"{way} at most {bytes_in_words(rate)}/s"
        for way in ("up", "down")
        if (rate := number(traffic, f"now_{way}_bytes_s"))
    ]
    windows = traffic.get("schedule")
    if isinstance(windows, list) and windows:
        rates.append("other rates: " + ", ".join(clean(window) for window in windows))
    if rates:
        rows.append(("limits", "; ".join(rates)))
    most, taken = number(traffic, "connections_limit"), number(traffic, "connections")
    if most and taken >= most * FEW_CONNECTIONS_LEFT:
        rows.append(("connections", f"{taken} of {most}: newcomers take the place of those of least use"))
    return rows


def waiting_line(status: Answer) -> str:
    """Why works wait for a budget, in the node's words; "" if they do not."""
    traffic = status.get("traffic")
    return clean(traffic["waiting"]) if isinstance(traffic, dict) and traffic.get("waiting") else ""


def health_line(status: Answer) -> str:
    """What `p2pnode doctor` would say of what is bad, in its words, and what to do; "" if nothing is."""
    bad = status.get("health")
    if not isinstance(bad, dict):
        return ""
    return "; ".join(clean(part) for part in (bad.get("words"), bad.get("hint")) if part)

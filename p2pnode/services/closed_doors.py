"""Ports that the settings ask for and that could not be opened: said in the log once, and by `status` and `doctor` while it is so.

Whoever opens them (the daemon: metrics, gateway) tells `shut` and `opened`; `doctor` reads the findings. Opens nothing itself.
"""

from __future__ import annotations

import logging

from p2pnode.services.doctor_checks import Finding

log = logging.getLogger("p2pnode.doors")

METRICS, GATEWAY = "metrics_port", "gateway_port"
DOORS = (METRICS, GATEWAY)
_LOST = {METRICS: "nothing tells metrics", GATEWAY: "the gateway is closed"}
_HINTS = {
    METRICS: "end that program (the node tries again every minute), or set another metrics_port in config.toml and start again",
    GATEWAY: "open it on another port: p2pnode gateway --port PORT; for later starts set gateway_port in config.toml",
}


class ClosedDoors:
    """Those of one node, by the setting's name."""

    def __init__(self) -> None:
        self._closed: dict[str, str] = {}

    def shut(self, setting: str, why: str) -> None:
        """It could not be opened; `why` in words, without a hint."""
        words = f"{_LOST[setting]}: {why} ({setting})"
        if self._closed.get(setting) != words:
            log.warning("%s", words)
        self._closed[setting] = words

    def opened(self, setting: str) -> None:
        """It is open now."""
        if self._closed.pop(setting, None) is not None:
            log.info("the port of %s is open now", setting)

    def findings(self) -> list[Finding]:
        """One for each, all bad: somebody asked for it and does not have it. None where everything is open."""
        return [Finding(setting, "bad", words, _HINTS[setting]) for setting, words in self._closed.items()]

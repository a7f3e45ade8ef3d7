"""Bans as a person sees them: listed with reason and time by a real daemon, and lifted."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2pnode.errors import NotFoundError
from tests.support.daemons import RealDaemon, wait_until
from tests.support.hostile import HostileProcess

pytestmark = pytest.mark.network


def test_a_ban_is_listed_and_lifted(tmp_path: Path) -> None:
    daemon = RealDaemon(tmp_path / "node").start()
    vandal = HostileProcess("vandal", [daemon.address], seed=3)
    try:
        assert daemon.run("peers", "bans").stdout
        (first, *_) = wait_until(lambda: daemon.lines("peers", "bans"), what="a vandal is banned")
        assert first["reason"] and 0 < first["left_s"] <= 1800
        vandal.kill()
        lifted = daemon.json("peers", "unban", first["peer_id"])
        assert lifted == {"peer_id": first["peer_id"]}
        assert first["peer_id"] not in {ban["peer_id"] for ban in daemon.lines("peers", "bans")}
        again = daemon.run("peers", "unban", first["peer_id"], check=False)
        assert again.returncode == NotFoundError.exit_status and "is not banned" in again.stderr
    finally:
        vandal.kill()
        daemon.kill()

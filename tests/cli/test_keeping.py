"""What the commands about keeping say beyond their answer: exit status of damage, and remarks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.cli.answers import CID, WORK
from tests.cli.conftest import Cli
from tests.support.control import ControlThread

Serve = Callable[[dict[str, Any]], ControlThread]
DAMAGE = {
    "cid": CID,
    "works": [{"work": WORK, "title": "Notes"}],
    "path": "/x/notes.txt",
    "words": "the file is not there",
    "owned": True,
    "blocks": 2,
}


def test_damage_is_an_exit_status_and_a_hint(serve: Serve, cli: Cli) -> None:
    answer = {"bytes": 1, "blocks": 3, "items": [DAMAGE], "damaged_files": 1, "damaged_blocks": 2}
    serve({"store.verify": answer})
    result = cli("verify")
    assert result.status == 1
    assert "Damaged: 1 file, 2 blocks." in result.out
    assert "/x/notes.txt: the file is not there" in result.out
    assert "verify --repair" in result.err
    assert cli("verify", "--json").status == 1
    assert cli("verify", "--repair").err == ""


def test_what_stays_when_a_work_goes_is_said(serve: Serve, cli: Cli) -> None:
    serve(
        {
            "work.remove": {"cid": CID, "freed_bytes": 1, "shared_bytes": 2048, "undo": f"p2pnode get {CID}"},
            "work.unpublish": {"title": "Notes", "shared_with": [WORK], "in_circle": True},
        }
    )
    result = cli("remove", CID)
    assert (result.status, result.out) == (0, f"Removed: {CID}, 1 byte are free\nTo have it again: p2pnode get {CID}\n")
    assert "2.0 KiB stay" in result.err
    result = cli("unpublish", WORK)
    assert "still shared" in result.err and "circle's records" in result.err

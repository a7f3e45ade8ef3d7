"""A question as it stands, on a terminal: what an edit would change is told in words, never as the program keeps it."""

from __future__ import annotations

import pytest

from p2pnode.cli.questions import print_standing


def test_the_fields_of_an_edit_are_told_as_people_write_them(capsys: pytest.CaptureFixture[str]) -> None:
    changes = {
        "tags": [],
        "creators": [{"name": "Ada", "role": "author"}, {"name": "Luigi"}],
        "identifiers": [{"scheme": "doi", "value": "10.1000/182"}],
        "title": "B",
    }
    print_standing({"class": "edit", "title": "A", "changes": changes})
    shown = capsys.readouterr().out
    for words in ("+ nothing", "+ Ada, Luigi", "+ 10.1000/182", "+ B"):
        assert words in shown
    assert "{" not in shown and "[" not in shown

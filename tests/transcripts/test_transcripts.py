"""The tour of the README and every document of this folder are run as it stands, with real daemons on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.transcript import run_transcript

README = Path(__file__).parents[2] / "README.md"
DOCUMENTS = [README, *sorted(Path(__file__).parent.glob("*.md"))]


def _params() -> list[object]:
    return [
        pytest.param(path, id=path.stem, marks=[pytest.mark.network] if "p2pnode daemon" in path.read_text() else [])
        for path in DOCUMENTS
    ]


@pytest.mark.parametrize("path", _params())
def test_the_document_is_true(path: Path, tmp_path: Path) -> None:
    assert run_transcript(path, tmp_path / "folder") > 0

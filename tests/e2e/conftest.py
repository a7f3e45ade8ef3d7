"""Real daemons for the end-to-end tests; whatever a test started is gone after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.daemons import RealDaemon

DOCUMENTS = Path("/usr/share/doc/python3.11/html/howto")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RealDaemon]]:
    """Start a daemon under a name; every daemon is killed at the end, and its log shown when the test failed."""
    daemons: list[RealDaemon] = []

    def begin(name: str, **options: object) -> RealDaemon:
        daemon = RealDaemon(tmp_path / name, **options)  # type: ignore[arg-type]
        daemons.append(daemon)
        return daemon.start()

    yield begin
    for daemon in daemons:
        daemon.kill()
        print(f"---- {daemon.home.name}\n{daemon.log[-4000:]}")


@pytest.fixture
def documents() -> Path:
    """A folder of real, free documents: the HOWTOs of Python's documentation as Debian packages them."""
    if not DOCUMENTS.is_dir():
        pytest.fail(
            "the package python3.11-doc is missing; scripts/test installs it, or: apt-get install python3.11-doc"
        )
    return DOCUMENTS

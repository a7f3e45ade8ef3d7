"""Foreign programs for the tests of this folder are those of tests/interop: without them these tests fail in CI, too."""

from __future__ import annotations

from tests.interop.conftest import foreign

__all__ = ["foreign"]

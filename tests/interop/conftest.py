"""Foreign programs for the tests of this folder: installed when missing; without npm the tests fail in CI and skip elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.interop.install import NotInstallable, install


@pytest.fixture(scope="session")
def foreign() -> Path:
    """The folder with node_modules in it."""
    try:
        return install()
    except NotInstallable as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))

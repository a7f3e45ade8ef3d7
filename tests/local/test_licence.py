"""Licences: SPDX expressions in their one spelling, or the nearest ones as advice."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnode.errors import UsageError
from p2pnode.local.licence import check_licence


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("mit", "MIT"),
        ("  cc-by-sa-4.0 ", "CC-BY-SA-4.0"),
        ("mit or (apache-2.0 and cc0-1.0)", "MIT OR (Apache-2.0 AND CC0-1.0)"),
        ("GPL-3.0-or-later with classpath-exception-2.0", "GPL-3.0-or-later WITH Classpath-exception-2.0"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("PSF-2.0", "PSF-2.0"),
    ],
)
def test_expressions_are_written_as_spdx_writes_them(typed: str, kept: str) -> None:
    assert check_licence(typed) == kept


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("CC BY-SA", "CC-BY-SA-4.0"),
        ("gplv3", "GPL-3.0-or-later"),
        ("Apache 2.0", "Apache-2.0"),
        ("MTI", "MIT"),
        ("public domain", "CC0-1.0"),
        ("qqqqqqqqqq", "spdx.org"),
    ],
)
def test_an_unknown_licence_is_answered_with_the_nearest(typed: str, advice: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_licence(typed)
    assert advice in caught.value.hint


@pytest.mark.parametrize(
    "typed",
    ["", " ", "(", "MIT OR", "MIT AND (ISC", "AND", "mit)", "MIT WITH MIT", "x" * 301, "LicenseRef-mine", "\ud800"],
)
def test_what_is_no_expression_is_a_usage_error(typed: str) -> None:
    with pytest.raises(UsageError):
        check_licence(typed)


@settings(deadline=None, max_examples=100)
@given(st.text(st.sampled_from("MITANDORWH()+- .\x00é"), max_size=20) | st.text(max_size=20))
def test_any_text_is_an_expression_or_a_usage_error(typed: str) -> None:
    try:
        assert check_licence(check_licence(typed)) == check_licence(typed)
    except UsageError:
        return


def test_importing_it_does_not_load_the_list() -> None:
    code = "import sys, p2pnode.local.licence; sys.exit('license_expression' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

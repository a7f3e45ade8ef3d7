"""Settings: defaults, file, environment, in that order; whatever is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2pnode.config import Home, Settings, find_home, load_settings
from p2pnode.errors import UsageError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_without_a_file_the_defaults_hold(home: Home) -> None:
    assert load_settings(home, {}) == Settings()


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(home: Home) -> None:
    home.config.write_text('quota_bytes = 5\nnetwork = "study"\nlan = false\nbootstrap = ["/ip4/10.0.0.1/tcp/1"]\n')
    settings = load_settings(
        home, {"P2PNODE_QUOTA_BYTES": "7", "P2PNODE_LISTEN": "/ip4/127.0.0.1/tcp/0,/ip6/::1/tcp/0"}
    )
    assert (settings.quota_bytes, settings.network, settings.lan) == (7, "study", False)
    assert settings.bootstrap == ("/ip4/10.0.0.1/tcp/1",)
    assert settings.listen == ("/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("quotabytes = 5", "quotabytes"),
        ('quota_bytes = "5"', "quota_bytes"),
        ("quota_bytes = true", "quota_bytes"),
        ("quota_bytes = -1", "quota_bytes"),
        ("listen = 5", "listen"),
        ("listen = [5]", "listen"),
        ('log_level = "loud"', "log_level"),
        ('network = "a/b"', "network"),
        ('network = ""', "network"),
        (f'network = "{"x" * 64}"', "network"),
        ("this is no TOML", "config.toml"),
        ("a = " + "[" * 5000, "config.toml"),
        (f"quota_bytes = {2**63}", "quota_bytes is 9223372036854775808"),
        (f"quota_bytes = {10**15 + 1}", "quota_bytes"),
        (f"quota_bytes = {'9' * 5000}", "config.toml"),
        (f"quota_bytes = {'9' * 4000}", "quota_bytes is a number of more than 30 digits"),
        (f"floor_bytes = {2**64}", "floor_bytes"),
        (f"budget_hour_bytes = {2**63}", "budget_hour_bytes"),
        (f"budget_month_bytes = {2**100}", "budget_month_bytes"),
        (f"rate_up_bytes_s = {2**63}", "rate_up_bytes_s"),
        (f"rate_down_bytes_s = {2**63}", "rate_down_bytes_s"),
        ('rate_schedule = ["22:00-07:00 up=999999999999999TB"]', "up is 999999999999999"),
        ('library = "."', "keeps other things"),
        ('library = "run/works"', "keeps other things"),
        ('library = "a\\u0000b"', "NUL"),
    ],
)
def test_a_mistake_in_the_file_is_named(home: Home, text: str, named: str) -> None:
    home.config.write_text(text)
    with pytest.raises(UsageError, match=named):
        load_settings(home, {})


def test_the_largest_sizes_that_may_be_set(home: Home) -> None:
    home.config.write_text(f"quota_bytes = {10**15}\nfloor_bytes = {10**15}\nbudget_month_bytes = {10**15}\n")
    assert load_settings(home, {}).quota_bytes == 10**15


@pytest.mark.parametrize(
    ("text", "path"),
    [("works", "works"), ("works/../other/", "other"), ("library", "library"), ("../beside", "../beside")],
)
def test_a_relative_library_is_in_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, path: str
) -> None:
    home = Home(tmp_path / "home")
    home.path.mkdir()
    home.config.write_text(f'library = "{text}"\n')
    monkeypatch.chdir("/")
    assert load_settings(home, {}).library == str((home.path / path).resolve())
    assert load_settings(home, {"P2PNODE_LIBRARY": text}).library == str((home.path / path).resolve())


def test_a_library_elsewhere_stays_where_it_is_and_a_tilde_is_your_home_folder(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    assert load_settings(home, {"P2PNODE_LIBRARY": "/srv/works"}).library == "/srv/works"
    assert load_settings(home, {"P2PNODE_LIBRARY": "~/works"}).library == "/home/anna/works"


@pytest.mark.parametrize(
    ("name", "text"), [("P2PNODE_QUOTA_BYTES", "many"), ("P2PNODE_QUOTA_BYTES", "9" * 5000), ("P2PNODE_LAN", "perhaps")]
)
def test_a_mistake_in_the_environment_is_named(home: Home, name: str, text: str) -> None:
    with pytest.raises(UsageError, match=name.removeprefix("P2PNODE_").lower()):
        load_settings(home, {name: text})


def test_variables_that_are_no_settings_are_left_alone(home: Home) -> None:
    assert load_settings(home, {"P2PNODE_HOME": "/x", "P2PNODE_PASSPHRASE": "secret"}) == Settings()


def test_the_argument_wins_over_the_environment(tmp_path: Path) -> None:
    environment = {"P2PNODE_HOME": str(tmp_path / "environment")}
    assert find_home(str(tmp_path / "argument"), environment).path == tmp_path / "argument"
    assert find_home(None, environment).path == tmp_path / "environment"


def test_without_either_the_platform_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    path = find_home(None, {}).path
    assert path.is_absolute()
    assert "p2pnode" in path.name


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("LAN", "maybe", "true or false"),
        ("QUOTA_BYTES", "lots", "a whole number"),
        ("QUOTA_BYTES", "", "a whole number"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable_in_plain_words(
    name: str, text: str, words: str, home: Home
) -> None:
    with pytest.raises(UsageError) as refused:
        load_settings(home, {f"P2PNODE_{name}": text})
    assert f"P2PNODE_{name}" in refused.value.message
    assert words in refused.value.message

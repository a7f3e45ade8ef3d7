"""The protocol page of devices, and the page for people, give the numbers that the program has."""

from __future__ import annotations

import pytest

from p2pnode.core import device, device_code, device_messages, device_roles, device_state
from p2pnode.services import devices_control, devices_pairing, devices_state, devices_sync, devices_voids
from tests.test_docs import flat

SAID = [
    f"`name`: 1-{device_roles.NAME_CHARACTERS} characters",
    f"at most {device.MAX_ROLES} of {device.ROLE_CHARACTERS} characters",
    f"at most {device.MAX_CERTIFICATE_BYTES} bytes in all",
    f"a node holds at most {device_state.MAX_CERTIFICATES}",
    f"a code is {device_code.PLATE_CHARACTERS} characters of base32 and {device_code.SECRET_DIGITS} digits",
    f"one exchange at a time, {devices_pairing.EXCHANGE_S:g} s each",
    f"it lives for {devices_pairing.CODE_LIFETIME_S:g} s",
    f"dead after {devices_pairing.WRONG_TRIES} wrong confirmations, after {devices_pairing.EXCHANGES} exchanges",
    f"({devices_pairing.EXCHANGES_PER_PEER} of one peer)",
    f"at most {device_messages.MAX_FRAME_BYTES:,} bytes, each a canonical map",
    f"`element`: {device_messages.ELEMENT_BYTES} bytes",
    f"at most {device_messages.REFUSAL_CHARACTERS} characters}}",
    f"the last {device_messages.CHECK_DIGITS} digits",
    f"gets {devices_control.UNPAIRED_POINTS} points",
    f"at most {devices_control.SESSIONS_PER_DEVICE} streams of a device and {devices_control.SESSIONS} in all",
    f"every {devices_sync.ROUND_S:g} s with whatever changed; {devices_sync.SESSION_S:g} s at most",
    f"at most {device_state.MAX_FRAME_BYTES:,} bytes, each a canonical map",
    f"at most {device_state.MAX_FRAMES} frames",
    f"`key`: 1-{device_state.KEY_CHARACTERS} characters",
    f"at most {device_state.MAX_ENTRIES:,}",
]


@pytest.mark.parametrize("said", SAID)
def test_the_protocol_has_the_programs_numbers(said: str) -> None:
    assert said.lower() in flat("protocol-devices.md").lower()


def test_the_words_about_time_are_true() -> None:
    page = flat("devices.md")
    assert devices_pairing.CODE_LIFETIME_S == 600 and "good for ten minutes" in page
    assert devices_pairing.WRONG_TRIES == 3 and "dies after three wrong tries" in page
    assert devices_state.AHEAD_S == 86_400 and "more than a day ahead" in flat("protocol-devices.md")
    assert devices_voids.MOST_WAIT_S == 60 and "up to a minute" in page
    assert all(f"`{role}`" in page for role in device_roles.ROLES)

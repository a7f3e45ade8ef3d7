"""What every test may rely on."""

from __future__ import annotations

import signal

# A shell that starts tests in the background lets them ignore Ctrl-C, and whatever they start inherits that: tests of
# Ctrl-C would then wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

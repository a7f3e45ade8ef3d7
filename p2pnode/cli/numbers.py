"""Numbers on the command line that have an end: `nan` and `inf` read as numbers, and neither can be waited for nor sent."""

from __future__ import annotations

import math
from typing import Any

import click


class Finite(click.FloatRange):
    """As click's range of floats, and finite."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number to count with", param, ctx)
        return number

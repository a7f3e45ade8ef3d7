"""Reading the parameters of a control call: each value has one type and a bound, anything else is a UsageError that names it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from p2pnode.errors import UsageError

TEXT_CHARACTERS = 4096
"""Characters of a text where a method says nothing else: room for a long path or summary, too little to fill memory."""
SHOWN_DIGITS = 18
"""Of a number that is refused."""
LIST_ITEMS = 64
"""Items of a list parameter: more creators or tags than any work has."""


class Params:
    """The `params` object of one call. What nobody asked for is an error too: a misspelt option must not be ignored."""

    def __init__(self, method: str, values: dict[str, Any]) -> None:
        self._method = method
        self._values = dict(values)

    def text(self, name: str, default: str | None = None, *, longest: int = TEXT_CHARACTERS) -> str:
        value = self._take(name, default)
        if not isinstance(value, str):
            raise UsageError(f"{self._method}: {name} must be text")
        if len(value) > longest:
            raise UsageError(f"{self._method}: {name} has {len(value)} characters; at most {longest} are allowed")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"{self._method}: {name} is not valid Unicode text") from error
        return value

    def optional_text(self, name: str) -> str | None:
        return self.text(name) if self._given(name) else None

    def path(self, name: str) -> str:
        value = self.text(name)
        if not os.path.isabs(value) or "\0" in value:
            raise UsageError(
                f"{self._method}: {name} must be an absolute path", hint="the client resolves it, not the daemon"
            )
        return value

    def optional_path(self, name: str) -> str | None:
        return self.path(name) if self._given(name) else None

    def flag(self, name: str) -> bool:
        value = self._take(name, False)
        if not isinstance(value, bool):
            raise UsageError(f"{self._method}: {name} must be true or false")
        return value

    def number(self, name: str, default: float, *, least: float, most: float) -> float:
        value = self._take(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"{self._method}: {name} must be a number")
        if not least <= value <= most:
            raise UsageError(
                f"{self._method}: {name} is {_said(value)}; it lies between {_said(least)} and {_said(most)}"
            )
        try:
            return float(value)
        except OverflowError as error:  # JSON's integers have no end
            raise UsageError(f"{self._method}: {name} is too large a number") from error

    def choice(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        value = self.text(name, default)
        if value not in choices:
            raise UsageError(f"{self._method}: {name} is {value!r}", hint=f"one of: {', '.join(choices)}")
        return value

    def texts(self, name: str) -> list[str]:
        values = self._list(name)
        if not all(isinstance(value, str) and len(value) <= TEXT_CHARACTERS for value in values):
            raise UsageError(f"{self._method}: {name} must be a list of texts")
        return values

    def objects(self, name: str) -> list[dict[str, Any]]:
        values = self._list(name)
        if not all(isinstance(value, dict) for value in values):
            raise UsageError(f"{self._method}: {name} must be a list of objects")
        return values

    def object(self, name: str) -> dict[str, Any]:
        """An object; empty when it is absent."""
        value = self._take(name, {})
        if not isinstance(value, dict):
            raise UsageError(f"{self._method}: {name} must be an object")
        return value

    def has(self, name: str) -> bool:
        """Whether it was given; it is still to be read."""
        return self._given(name)

    def end(self) -> None:
        """Nothing else may have been given."""
        if self._values:
            raise UsageError(f"{self._method}: unknown parameter {sorted(self._values)[0]!r}")

    def _given(self, name: str) -> bool:
        if self._values.get(name) is None:
            self._values.pop(name, None)
            return False
        return True

    def _list(self, name: str) -> list[Any]:
        values = self._take(name, [])
        if not isinstance(values, list) or len(values) > LIST_ITEMS:
            raise UsageError(f"{self._method}: {name} must be a list of at most {LIST_ITEMS}")
        return values

    def _take(self, name: str, default: Any) -> Any:
        value = self._values.pop(name, None)
        if value is not None:
            return value
        if default is None:
            raise UsageError(f"{self._method}: {name} is missing")
        return default


def _said(value: float) -> str:
    """A number for people: 0.166667 instead of sixteen digits, and nothing that fills the screen."""
    if isinstance(value, int):
        return str(value) if abs(value) < 10**SHOWN_DIGITS else f"a number of more than {SHOWN_DIGITS} digits"
    return f"{value:.6g}"

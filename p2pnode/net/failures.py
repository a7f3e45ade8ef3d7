"""Failures in words: a peer can provoke them at will, so they cost a line of log each and a traceback only when debugging."""

from __future__ import annotations

import logging

MAX_CHARACTERS = 200


def short(error: BaseException) -> str:
    """The type and the beginning of the message, of the first error in a group."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {str(error)[:MAX_CHARACTERS]}"


def say_failed(log: logging.Logger, what: str, error: BaseException) -> None:
    """One warning; the traceback follows at level debug."""
    log.warning("%s failed: %s", what, short(error))
    log.debug("where %s failed", what, exc_info=error)

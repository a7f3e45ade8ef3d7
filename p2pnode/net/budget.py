"""The memory that peers may make this node hold: bytes that arrived and nobody read yet, and bytes that wait to be taken by a slow reader.

Windows and stream counts bound each connection, but not the sum: 320 connections of 64 MiB each are 20 GiB. So all of a node's connections
share two ledgers. When one is full, a connection ends: of those with unread bytes the one that holds most, of those with bytes to
send the one that has stood still longest. Honest nodes come nowhere near. Pure. Made by `net.host`; used by `net.yamux` and `net.stream`.
"""

from __future__ import annotations

from collections.abc import Callable

MIB = 1 << 20
MAX_INCOMING_BYTES = 96 * MIB
"""Unread, or in the hands of somebody who has not answered yet. Six streams at their largest window, or 300 KiB for each connection."""
MAX_OUTGOING_BYTES = 64 * MIB
"""Handed to streams and not yet taken: sixty-four full leaves at a time."""


class Account:
    """What one connection holds in one ledger."""

    __slots__ = ("_end", "_ledger", "held", "moved")

    def __init__(self, ledger: Ledger, end: Callable[[], None]) -> None:
        self._ledger: Ledger | None = ledger
        self._end = end
        self.held = 0
        self.moved = 0  # the ledger's count when it last gave back

    def add(self, count: int) -> None:
        """`count` bytes more are held. May end the connection that this is the account of, or another."""
        ledger = self._ledger
        if ledger is not None:
            if not self.held:
                self.moved = ledger.count
            self.held += count
            ledger.held += count
            if ledger.held > ledger.limit:
                ledger.relieve()

    def remove(self, count: int) -> None:
        """As many fewer."""
        ledger = self._ledger
        if ledger is not None:
            count = min(count, self.held)
            self.held -= count
            ledger.held -= count
            ledger.count += 1
            self.moved = ledger.count

    def close(self) -> None:
        """The connection is over: it holds nothing, and whatever is still said of it counts nothing."""
        if self._ledger is not None:
            self._ledger.held -= self.held
            self._ledger.accounts.discard(self)
            self._ledger, self.held = None, 0

    def end(self) -> None:
        """End the connection."""
        self.close()
        self._end()


class Ledger:
    """All accounts of a node. `worst` names the account whose connection ends when `limit` is passed: the greatest of its values."""

    def __init__(self, limit: int, worst: Callable[[Account], float]) -> None:
        self.limit = limit
        self.held = 0
        self.count = 0
        self.ended = 0
        """Connections that ended because of this ledger."""
        self.accounts: set[Account] = set()
        self._worst = worst

    def open(self, end: Callable[[], None]) -> Account:
        """An account for a new connection, which `end` ends."""
        account = Account(self, end)
        self.accounts.add(account)
        return account

    def relieve(self) -> None:
        """End connections until the limit is kept."""
        while self.held > self.limit:
            holders = [account for account in self.accounts if account.held]
            if not holders:
                return
            self.ended += 1
            max(holders, key=self._worst).end()


class Budget:
    """The two ledgers of one node."""

    def __init__(self) -> None:
        self.incoming = Ledger(MAX_INCOMING_BYTES, lambda account: account.held)
        self.outgoing = Ledger(MAX_OUTGOING_BYTES, lambda account: -account.moved)


class Share:
    """One connection's two accounts."""

    __slots__ = ("incoming", "outgoing")

    def __init__(self, budget: Budget, end: Callable[[], None]) -> None:
        self.incoming = budget.incoming.open(end)
        self.outgoing = budget.outgoing.open(end)

    def close(self) -> None:
        """The connection is over."""
        self.incoming.close()
        self.outgoing.close()

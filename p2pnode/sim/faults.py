"""What may go wrong on the simulated network, as one value with units. Everything is drawn from the hub's seeded generator."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Faults:
    """Probabilities are 0..1. The default is a perfect network that takes no time."""

    latency_s: tuple[float, float] = (0.0, 0.0)
    """Of every write to a stream and every gossip message over one edge: drawn evenly between the two."""
    dial_failure: float = 0.0
    """A call that finds nobody, though somebody is there."""
    stream_loss: float = 0.0
    """A stream that breaks after some bytes."""
    stream_loss_bytes: int = 20_000
    """The most bytes that such a stream carries."""
    gossip_loss: float = 0.0
    gossip_duplicate: float = 0.0

    @property
    def any_delay(self) -> bool:
        return self.latency_s[1] > 0.0


NONE = Faults()
ROUGH = Faults(
    latency_s=(0.01, 0.4),
    dial_failure=0.1,
    stream_loss=0.05,
    gossip_loss=0.1,
    gossip_duplicate=0.05,
)
"""A bad day: a tenth of everything gets lost, and nothing is quick."""

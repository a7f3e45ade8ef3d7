"""A whole network in one process: the real services on a simulated Network, in virtual time, with seeded faults. Tests and scripts only."""

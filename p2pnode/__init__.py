"""p2pnode: a commons on your own machine. This module holds the version and imports nothing."""

__version__ = "0.1.0"

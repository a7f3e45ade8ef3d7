"""Everything a node keeps: SQLite and plain files behind the ports, and an in-memory twin for tests and simulation.

`open_store` (store.sqlite) opens the real one, `MemoryStore` (store.memory) is the twin; both pass one contract suite.
"""

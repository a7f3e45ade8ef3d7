"""One contract suite for the store and its in-memory twin, and tests of what only a disk can do to a store."""

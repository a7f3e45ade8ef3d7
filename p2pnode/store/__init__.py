"""What a node keeps: SQLite and plain files behind the ports, and an in-memory twin that passes the same contract suite."""

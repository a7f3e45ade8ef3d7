"""The journeys: trio orchestration on ports, one file each. Never imports libp2p, sqlite3 or textual."""

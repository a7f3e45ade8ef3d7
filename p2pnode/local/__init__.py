"""Plain work on this machine's files, without trio: key files, walking a folder, reading it in order."""

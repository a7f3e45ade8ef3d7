"""The terminal UI: a Textual application, a client of the control socket like any other."""

"""The terminal UI: a Textual app and a client of the control socket like any other. It never imports the node itself."""

"""The terminal UI against a scripted node that speaks the true control language."""

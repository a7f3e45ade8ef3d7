"""The command line: commands become control calls, answers become text or JSON."""

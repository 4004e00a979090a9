"""One module a command: each exposes the function that `cli.py` registers. Nothing below imports from here."""

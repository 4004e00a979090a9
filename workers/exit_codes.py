"""How a worker process says why it ended; the launcher reads it. Numbers as in sysexits.h."""

#: EX_CONFIG: it cannot start, and could not the next time either.
EXIT_CANNOT_START = 78
#: EX_TEMPFAIL: its watchdog ended it because a painting hung; another try may do better.
EXIT_HUNG = 75
#: EX_SOFTWARE: its device is lost, or it cannot paint even a picture of its own; a new process may.
EXIT_BROKEN = 70
#: It was told to leave (`painter drain`), and its launcher lets it.
EXIT_DRAINED = 79

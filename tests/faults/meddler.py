"""Which messages come twice, late, shuffled, or lose their reply: a seed decides."""

import random

from tests.faults.proxy import PASS, SCRIPTS, Command, Fate


class Meddler:
    """Each share of our commands has its fate; a seed decides which.

    `shuffled`: a frame with its ticket is answered for at once, and comes to the server up to 0.3 s later, twice.
    `lost`: the command is carried out, its reply is lost, its client asks again; the same claim not more than once,
    since a frame that three workers in turn never answer for is given up.
    """

    def __init__(
        self, seed: int, *, twice: float = 0.0, late: float = 0.0, shuffled: float = 0.0, lost: float = 0.0
    ) -> None:
        self._dice = random.Random(seed)
        self._twice, self._late, self._shuffled, self._lost = twice, late, shuffled, lost
        self._lost_claims: set[tuple[bytes, bytes]] = set()
        self.done = 0

    def __call__(self, command: Command) -> Fate:
        if not any(command.calls(script) for script in SCRIPTS):
            return PASS
        if command.calls("submit") and self._happens(self._shuffled):
            delays = tuple(self._dice.uniform(0.0, 0.3) for _ in range(2))
            return Fate(later_s=delays, answer=b":1\r\n")
        if self._happens(self._lost) and not (command.calls("claim") and command.frame in self._lost_claims):
            self._lost_claims.add(command.frame)
            return Fate(twice=True, first_reply=False)
        delay_s = self._dice.uniform(0.0, 0.05) if self._happens(self._late) else 0.0
        return Fate(delay_s=delay_s, twice=self._happens(self._twice))

    def _happens(self, share: float) -> bool:
        does = self._dice.random() < share
        self.done += does
        return does

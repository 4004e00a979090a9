"""A desk: films and watches the paintings: `python -m tests.fleet.live_client URL STYLE FPS`.

Prints a line for each painting: when it came (monotonic seconds, the machine's own clock), and its age in ms.
"""

import sys
import time

from benchmarks.sharing import filming
from pipeline.server.broker import open_broker

_LOOK_S = 0.05


def main() -> None:
    """Film until ended."""
    url, style, fps = sys.argv[1:]
    with open_broker(url) as broker, filming(broker, style, float(fps)) as seen:
        told = 0
        while True:
            for at_s, delay_ms in seen[told:]:
                print(f"{at_s:.3f} {delay_ms:.1f}", flush=True)  # noqa: T201 - its purpose
                told += 1
            time.sleep(_LOOK_S)


if __name__ == "__main__":
    main()

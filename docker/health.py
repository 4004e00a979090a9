"""A container's health: `health.py worker`, a worker of this host lives; `health.py http://…`, a page answers.

Ends with 0 or 1, as Docker and Kubernetes want it.
"""

import socket
import sys
import urllib.error
import urllib.request
from contextlib import closing
from importlib.util import find_spec

_TIMEOUT_S = 5.0


def main(what: str) -> int:
    """Return 0 for healthy, 1 for not."""
    return 0 if (_has_worker() if what == "worker" else _answers(what)) else 1


def _has_worker() -> bool:
    # Only here: a page's check must not wait for the server's client.
    found = find_spec("power_painter")
    assert found is not None and found.submodule_search_locations
    sys.path.insert(0, next(iter(found.submodule_search_locations)))
    from pipeline.errors import PipelineError
    from pipeline.process.config import broker_url
    from pipeline.server.transport import Transport

    try:
        with closing(Transport.connect(broker_url())) as transport:
            return any(beat.host == socket.gethostname() for beat in transport.workers())
    except PipelineError:
        return False


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

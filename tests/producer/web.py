"""One file served over HTTP on a free port."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *words: object) -> None:
        """Say nothing."""


@contextmanager
def served(path: Path) -> Iterator[str]:
    """Yield the URL of a file."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(path.parent))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{quote(path.name)}"
        finally:
            server.shutdown()
            thread.join()

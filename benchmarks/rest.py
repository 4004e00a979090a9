"""The way this project left: an HTTP server that takes a JPEG and answers with one, a request a frame.

The server is the standard library's, on which Flask's own is built, without Flask's work on top; it hands back what it
got. `python -m benchmarks.rest CERT KEY` serves one over TLS, `… - -` one without, and prints its port.
"""

import http.client
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Painter(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # As Werkzeug does not: Nagle's algorithm would hold the answer's end back for a round trip.
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        jpeg = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(jpeg)))
        self.end_headers()
        self.wfile.write(jpeg)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


def frames_per_s(port: int, jpeg: bytes, seconds: float, *, trusted: Path | None, keep: bool) -> float:
    """Send `jpeg` and wait for the answer, again and again; `keep` the connection or make one a frame."""
    context = ssl.create_default_context(cafile=str(trusted)) if trusted else None
    connection = _connect(port, context)
    # The first request is the server's and the client's warm-up.
    _ask(connection, jpeg)
    began_s, frames = time.monotonic(), 0
    while time.monotonic() - began_s < seconds:
        if not keep:
            connection.close()
            connection = _connect(port, context)
        _ask(connection, jpeg)
        frames += 1
    taken_s = time.monotonic() - began_s
    connection.close()
    return frames / taken_s


def _connect(port: int, context: ssl.SSLContext | None) -> http.client.HTTPConnection:
    if context is not None:
        return http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
    return http.client.HTTPConnection("localhost", port, timeout=10)


def _ask(connection: http.client.HTTPConnection, jpeg: bytes) -> None:
    connection.request("POST", "/paint", jpeg, {"Content-Type": "image/jpeg"})
    answer = connection.getresponse().read()
    if answer != jpeg:
        raise RuntimeError(f"the server answered with {len(answer)} bytes to {len(jpeg)}")


def main() -> None:
    """Serve until ended."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Painter)
    server.daemon_threads = True
    cert, key = sys.argv[1:3]
    if cert != "-":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)  # noqa: T201 - whoever started it reads the port
    server.serve_forever()


if __name__ == "__main__":
    main()

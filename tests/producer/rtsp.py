"""An RTSP camera for tests: one clip as MPEG-TS over RTP, interleaved on the connection (RFC 2326, RFC 2250)."""

import socketserver
import struct
import threading
from pathlib import Path

# Payload 33 is MPEG-TS, seven of its 188-byte packets to one RTP packet.
_SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=cam\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track\r\n"
_CHUNK = 7 * 188


class RtspCamera(socketserver.ThreadingTCPServer):
    """Sends the clip once to each who asks, then falls silent until `quiet` is set, and hangs up."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, clip: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Dialogue)
        self.stream = clip.read_bytes()
        self.quiet = threading.Event()
        self.visits = 0

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.server_address[1]}/live"


class _Dialogue(socketserver.StreamRequestHandler):
    server: RtspCamera

    def handle(self) -> None:
        self.server.visits += 1
        try:
            while (request := self._request()) is not None:
                method, number = request
                self._answer(method, number)
                if method == "PLAY":
                    return self._play()
        except OSError:
            pass  # the reader went away
        return None

    def _request(self) -> tuple[str, str] | None:
        first = self.rfile.readline().decode()
        number = ""
        while (line := self.rfile.readline().decode().strip()) != "":
            if line.lower().startswith("cseq:"):
                number = line.partition(":")[2].strip()
        return (first.split()[0], number) if first.strip() else None

    def _answer(self, method: str, number: str) -> None:
        body = _SDP if method == "DESCRIBE" else ""
        head = {
            "OPTIONS": "Public: OPTIONS, DESCRIBE, SETUP, PLAY\r\n",
            "DESCRIBE": f"Content-Base: {self.server.url}/\r\nContent-Type: application/sdp\r\n",
            "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n",
            "PLAY": "Session: 1\r\n",
        }.get(method, "")
        self.wfile.write(
            f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )

    def _play(self) -> None:
        stream = self.server.stream
        for number, at in enumerate(range(0, len(stream), _CHUNK)):
            packet = struct.pack(">BBHII", 0x80, 33, number, number * 3600, 1) + stream[at : at + _CHUNK]
            self.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
        self.server.quiet.wait(30)

"""A server's door that meddles: it passes each command on, or twice, late, elsewhere in the order, or kills its sender.

Between any client and the real server, on 127.0.0.1. `meddle` sees a whole command and says what becomes of it; replies
stay in step with commands, so clients notice nothing but what was done to them.
"""

import hashlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedReader
from urllib.parse import urlsplit

import psutil

from pipeline.server.connection import script as text_of

#: The scripts a frame's way is made of.
SCRIPTS = ("submit", "submit_live", "claim", "renew", "publish")
_SUBSCRIBE = (b"SUBSCRIBE", b"PSUBSCRIBE", b"MONITOR")


@lru_cache
def sha_of(script: str) -> bytes:
    """Return the name under which a script of ours is called."""
    return hashlib.sha1(text_of(script).encode(), usedforsecurity=False).hexdigest().encode()


def _load(script: str) -> bytes:
    text = text_of(script).encode()
    return b"*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$%d\r\n%s\r\n" % (len(text), text)


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its words, and the sender's port."""

    words: tuple[bytes, ...]
    port: int

    @property
    def name(self) -> bytes:
        return self.words[0].upper()

    def calls(self, script: str) -> bool:
        """Whether it runs a script of ours."""
        return self.name == b"EVALSHA" and self.words[1] == sha_of(script)

    @property
    def frame(self) -> tuple[bytes, bytes]:
        """The key it works on and its first argument: enough to know a frame by."""
        return self.words[3], self.words[3 + int(self.words[2])]

    def kill_sender(self) -> None:
        """`kill -9` whoever sent it."""
        for found in psutil.net_connections("tcp4"):
            if found.laddr and found.laddr.port == self.port and found.pid:
                with suppress(psutil.NoSuchProcess):
                    psutil.Process(found.pid).kill()


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a command: passed on after `delay_s`, twice or once; or answered and carried out `later_s` later.

    `first_reply`: of a command passed on twice, whether its sender hears of the first time or, as a client that lost
    its line and asked again, of the second. `swallow`: no reply ever arrives. `then` is called once it is carried out.
    """

    delay_s: float = 0.0
    twice: bool = False
    first_reply: bool = True
    later_s: tuple[float, ...] = ()
    answer: bytes = b""
    swallow: bool = False
    then: Callable[[], None] | None = None


PASS = Fate()
Meddle = Callable[[Command], Fate]


class Proxy:
    """Listens until `close`; `meddle` may be changed at any time."""

    def __init__(self, server_url: str, meddle: Meddle = lambda command: PASS) -> None:
        self._path = urlsplit(server_url).path
        self.meddle = meddle
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The broker URL clients use."""
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def close(self) -> None:
        """Cut every line."""
        self._closed = True
        self._listener.close()
        for end in list(self._open):
            _cut(end)

    def later(self, raw: bytes, after_s: float) -> None:
        """Carry a command out on a line of its own, some time from now."""

        def run() -> None:
            with suppress(OSError), self._upstream() as server:
                replies = server.makefile("rb")
                server.sendall(raw)
                if read_reply(replies).startswith(b"-NOSCRIPT"):
                    # Its sender was answered, and so will not bring the script itself.
                    server.sendall(b"".join(_load(script) for script in SCRIPTS) + raw)
                    for _ in range(len(SCRIPTS) + 1):
                        read_reply(replies)

        timer = threading.Timer(after_s, run)
        timer.daemon = True
        timer.start()

    def _upstream(self) -> socket.socket:
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self._path)
        except OSError:
            server.close()
            raise
        return server

    def _accept(self) -> None:
        while not self._closed:
            with suppress(OSError):
                client, (_, port) = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    server = self._upstream()
                except OSError:
                    client.close()
                    continue
                self._open |= {client, server}
                line = _Line(self, client, server, port)
                for part in (line.up, line.down):
                    threading.Thread(target=part, daemon=True).start()


@dataclass(frozen=True, slots=True)
class _Due:
    """A reply to come, or in its place an answer of ours."""

    swallow: bool = False
    then: Callable[[], None] | None = None
    answer: bytes = b""


class _Line:
    """One client's connection."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket, port: int) -> None:
        self._proxy, self._client, self._server, self._port = proxy, client, server, port
        # What becomes of each reply still to come; an answer of ours waits for those before it.
        self._due: deque[_Due] = deque()
        self._lock = threading.Lock()
        self._in_transaction = False
        self._raw_replies = False

    def up(self) -> None:
        reader = self._client.makefile("rb")
        with suppress(OSError, ValueError):
            while read := _read_command(reader):
                self._pass_on(*read)
        self.cut()

    def down(self) -> None:
        reader = self._server.makefile("rb")
        with suppress(OSError, ValueError):
            while reply := read_reply(reader):
                if self._raw_replies or reply[:1] == b">":
                    self._client.sendall(reply)
                    continue
                with self._lock:
                    due = self._due.popleft() if self._due else _Due()
                    if due.then is not None:
                        due.then()
                    if not due.swallow:
                        self._client.sendall(reply)
                    self._answer()
        self.cut()

    def cut(self) -> None:
        for end in (self._client, self._server):
            _cut(end)

    def _answer(self) -> None:
        while self._due and self._due[0].answer:
            self._client.sendall(self._due.popleft().answer)

    def _pass_on(self, raw: bytes, words: tuple[bytes, ...]) -> None:
        command = Command(words, self._port)
        if command.name in _SUBSCRIBE:
            self._raw_replies = True
        fate = PASS if self._in_transaction or self._raw_replies else self._proxy.meddle(command)
        self._in_transaction = command.name == b"MULTI" or (
            self._in_transaction and command.name not in (b"EXEC", b"DISCARD")
        )
        if fate.delay_s:
            time.sleep(fate.delay_s)
        for after_s in fate.later_s:
            self._proxy.later(raw, after_s)
        with self._lock:
            if fate.answer:
                self._due.append(_Due(answer=fate.answer))
                self._answer()
            elif fate.twice:
                self._due += (_Due(swallow=not fate.first_reply), _Due(swallow=fate.first_reply))
            else:
                self._due.append(_Due(swallow=fate.swallow, then=fate.then))
        if not fate.answer:
            self._server.sendall(raw * 2 if fate.twice else raw)


def read_reply(reader: BufferedReader) -> bytes:
    """Read one whole reply of RESP2 or RESP3, b"" at the end."""
    head = reader.readline()
    if not head:
        return b""
    kind, text = head[:1], head[1:-2]
    if kind in b"$=!":
        return head if int(text) < 0 else head + reader.read(int(text) + 2)
    if kind in b"*~>%":
        count = max(0, int(text)) * (2 if kind == b"%" else 1)
        return head + b"".join(read_reply(reader) for _ in range(count))
    return head


def _read_command(reader: BufferedReader) -> tuple[bytes, tuple[bytes, ...]] | None:
    head = reader.readline()
    if head[:1] != b"*":
        return None
    raw, words = [head], []
    for _ in range(int(head[1:])):
        size = reader.readline()
        word = reader.read(int(size[1:]) + 2)
        raw += [size, word]
        words.append(word[:-2])
    return b"".join(raw), tuple(words)


def _cut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()

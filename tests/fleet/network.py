"""Several machines on one: a broker's network namespace and one a host, links that slow down, lose and break.

Needs root, Debian's iproute2 and nftables, and a kernel that permits namespaces; tests are skipped where it does not.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.fleet.places import binary, running
from tests.waiting import wait_until

HOSTS = ("one", "two", "desk")
PORT = 6379
#: From the range set aside for such networks (RFC 2544): the broker is .1, the host .2 of each link's own.
_LINK = "198.18.{}.{}"
_WATCHED = 9
_DROP_ALL = "add table inet cut; add chain inet cut in {{ type filter hook input priority 0; policy drop; }}; \
add chain inet cut out {{ type filter hook output priority 0; policy drop; }}"
_LOSE = "add table inet lossy; add chain inet lossy in {{ type filter hook input priority 0; }}; \
add rule inet lossy in numgen random mod 100 < {percent} counter drop"


class Network:
    """A broker and its hosts. `lab` makes and ends it."""

    def __init__(self) -> None:
        self._mark = f"pp{os.getpid()}"
        self._stack = ExitStack()

    def namespace(self, host: str) -> str:
        """Return the name of a host's namespace."""
        return f"{self._mark}-{host}"

    def url(self, host: str) -> str:
        """Return the broker's URL as a host knows it; "" is the test itself."""
        return f"redis://{_LINK.format(HOSTS.index(host) if host else _WATCHED, 1)}:{PORT}/0"

    def on(self, host: str, argv: list[str]) -> list[str]:
        """Return the command line that runs `argv` on a host, under the host's name."""
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', host, *argv]
        return ["ip", "netns", "exec", self.namespace(host), *named]

    def build(self) -> None:
        """Make namespaces and links."""
        self._ip("netns", "add", self.namespace("broker"))
        self._stack.callback(self._ip, "netns", "del", self.namespace("broker"))
        self._ip("-n", self.namespace("broker"), "link", "set", "lo", "up")
        for number, host in enumerate(HOSTS):
            self._ip("netns", "add", self.namespace(host))
            self._stack.callback(self._ip, "netns", "del", self.namespace(host))
            self._wire(host, number)
        self._wire("", _WATCHED)

    def close(self) -> None:
        """Remove all of it."""
        self._stack.close()

    def cut(self, host: str) -> None:
        """Let nothing through to a host or from it, as if its cable were out: nobody is told."""
        self._nft(host, _DROP_ALL.format())

    def mend(self, host: str) -> None:
        """Let everything through again."""
        self._nft(host, "delete table inet cut")

    def slow_down(self, host: str, delay_ms: int, loss_percent: int) -> None:
        """Replace a host's link by one with a delay each way that loses some of what comes to the host."""
        number = HOSTS.index(host)
        ends = (self.namespace("broker"), self.namespace(host))
        argv = [sys.executable, str(Path(__file__).with_name("relay.py")), *ends, str(delay_ms)]
        self._stack.enter_context(running(argv))
        wait_until(lambda: all(self._has_slow(end) for end in ends), 10, "TUN devices")
        self._ip("-n", ends[1], "link", "del", self._link(number))
        for end, name in enumerate(ends, start=1):
            self._ip("-n", name, "addr", "add", _LINK.format(number, end) + "/24", "dev", "slow")
            self._ip("-n", name, "link", "set", "slow", "up")
        self._nft(host, _LOSE.format(percent=loss_percent))

    def lost(self, host: str) -> int:
        """Count the packets a slow link lost."""
        rules = self._nft(host, "list table inet lossy")
        return int(rules.partition("packets ")[2].split()[0])

    def _has_slow(self, namespace: str) -> bool:
        done = subprocess.run(["ip", "-n", namespace, "link", "show", "slow"], capture_output=True, check=False)
        return done.returncode == 0

    def _link(self, number: int) -> str:
        return f"{self._mark}{number}"

    def _wire(self, host: str, number: int) -> None:
        broker, near, far = self.namespace("broker"), self._link(number), f"{self._link(number)}b"
        self._ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", broker)
        self._ip("-n", broker, "addr", "add", _LINK.format(number, 1) + "/24", "dev", far)
        self._ip("-n", broker, "link", "set", far, "up")
        inside = []
        if host:
            self._ip("link", "set", near, "netns", self.namespace(host))
            inside = ["-n", self.namespace(host)]
            self._ip(*inside, "link", "set", "lo", "up")
        self._ip(*inside, "addr", "add", _LINK.format(number, 2) + "/24", "dev", near)
        self._ip(*inside, "link", "set", near, "up")

    def _nft(self, host: str, rules: str) -> str:
        argv = ["ip", "netns", "exec", self.namespace(host), "nft", rules]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=10).stdout

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


def _refused() -> str:
    """Return why no namespace can be made, entered and given a device, "" where all of that works."""
    probe = f"pp{os.getpid()}-probe"
    device = ["ip", "tuntap", "add", "dev", "slow", "mode", "tun"]
    for argv in (["ip", "netns", "add", probe], ["ip", "netns", "exec", probe, *device]):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            break
    subprocess.run(["ip", "netns", "del", probe], capture_output=True, check=False)
    return done.stderr.strip() if done.returncode else ""


@contextmanager
def lab(folder: Path) -> Iterator[Network]:
    """Yield a network whose broker serves. Skips the test where namespaces are not permitted."""
    for program in ("ip", "nft", "unshare", "redis-server"):
        binary(program)
    if why_not := _refused():
        pytest.skip(f"network namespaces are not permitted here: {why_not}")
    network = Network()
    try:
        network.build()
        server = f"redis-server --port {PORT} --protected-mode no --save --maxmemory 256mb --dir {folder}".split()
        server.insert(server.index("--save") + 1, "")
        with running(["ip", "netns", "exec", network.namespace("broker"), *server], log=folder / "redis.log"):
            yield network
    finally:
        network.close()

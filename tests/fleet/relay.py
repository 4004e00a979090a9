"""A slow wire between two network namespaces: `python relay.py ONE TWO DELAY_MS`, a TUN device `slow` in each.

Every packet comes out at the other end DELAY_MS later, none is lost or overtakes another. Both devices go with it.
"""

import ctypes
import fcntl
import os
import select
import struct
import sys
import time
from collections import deque
from pathlib import Path

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_LARGEST = 65536


def open_tun(namespace: str) -> int:
    """Enter `namespace` and return its end of the wire."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/run/netns", namespace).open() as there:
        if libc.setns(there.fileno(), 0):
            raise OSError(ctypes.get_errno(), "setns")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH", b"slow", _IFF_TUN | _IFF_NO_PI))
    return tun


def main() -> None:
    """Carry packets until ended."""
    one, two, delay_s = open_tun(sys.argv[1]), open_tun(sys.argv[2]), float(sys.argv[3]) / 1000
    other = {one: two, two: one}
    due: deque[tuple[float, int, bytes]] = deque()
    while True:
        wait_s = max(0.0, due[0][0] - time.monotonic()) if due else None
        for end in select.select([one, two], [], [], wait_s)[0]:
            due.append((time.monotonic() + delay_s, other[end], os.read(end, _LARGEST)))
        while due and due[0][0] <= time.monotonic():
            _, end, packet = due.popleft()
            os.write(end, packet)


if __name__ == "__main__":
    main()

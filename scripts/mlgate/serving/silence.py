"""How a port closes without breaking off those who are just knocking: Linux' socket filter drops new knocks first.

A connection is made by the kernel before the program takes it, so whatever it takes last, there can be one more that
closing would reset after its request was sent. A client whose knock is dropped knocks again a second later, is refused
by then, and knows that nothing of its request was read.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from contextlib import suppress

_ATTACH_FILTER = 26  # SO_ATTACH_FILTER, which Python's socket module does not name
# The filter sees the segment from its TCP header on. Octet 13 holds the flags: SYN without ACK is dropped.
_PROGRAM = (
    (0x30, 0, 0, 13),  # load octet 13
    (0x54, 0, 0, 0x12),  # keep SYN and ACK of it
    (0x15, 0, 1, 0x02),  # only SYN: go on, else skip one
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # take it whole
)


def drop_knocks(listening: socket.socket) -> None:
    """No new connection from now on; those half made are still finished. For every process that shares the socket.

    Where the system has no such filter nothing happens: then a request can be lost in the moment of closing.
    """
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in _PROGRAM))
    with suppress(OSError):
        listening.setsockopt(
            socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("@HP", len(_PROGRAM), ctypes.addressof(code))
        )

"""Before a port closes: who is in comes through, who knocks is not let in."""

from __future__ import annotations

import errno
import select
import socket

import pytest

from mlgate.serving.silence import drop_knocks


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_new_connections_are_not_made_and_those_made_are_whole(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as port:
        try:
            port.bind((host, 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        port.listen(16)
        with socket.create_connection(port.getsockname()[:2], 5) as before:
            drop_knocks(port)
            with pytest.raises(TimeoutError):
                socket.create_connection(port.getsockname()[:2], 0.3)
            before.sendall(b"a request")
            taken, _ = port.accept()
            with taken:
                assert taken.recv(100) == b"a request"
                taken.sendall(b"an answer")
                assert before.recv(100) == b"an answer"


def test_who_knocks_meanwhile_is_refused_after() -> None:
    port = socket.socket()
    port.bind(("127.0.0.1", 0))
    port.listen(16)
    address = port.getsockname()
    drop_knocks(port)
    with socket.socket() as late:
        late.setblocking(False)
        late.connect_ex(address)
        port.close()
        select.select([], [late], [], 10)
        assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED

"""The servers of the tests let go of every connection, whoever breaks off."""

from __future__ import annotations

import gc
import socket
from http.client import HTTPConnection, RemoteDisconnected

import pytest
from servers import LOOPBACK, Proxy, raw_server


def test_a_request_that_breaks_off_is_not_passed_on() -> None:
    with Proxy() as behind, Proxy(behind.uri) as proxy:
        with socket.create_connection((LOOPBACK, proxy.port)) as client:
            client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nand then it was")
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
        assert (proxy.requests, behind.requests) == ([], [])


def test_an_answer_that_breaks_off_leaves_no_connection_open() -> None:
    """An open one would be a warning when it is collected, and warnings are errors."""

    def half_an_answer(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nand then it was")
        connection.shutdown(socket.SHUT_RDWR)

    with raw_server(half_an_answer) as uri, Proxy(uri) as proxy:
        client = HTTPConnection(LOOPBACK, proxy.port, timeout=10)
        client.request("GET", "/")
        with pytest.raises(RemoteDisconnected):
            client.getresponse()
    gc.collect()

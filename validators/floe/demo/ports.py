"""Ports of the demo, on loopback."""

from __future__ import annotations

import socket

from floe.errors import FloeError

HOST = "127.0.0.1"


def claim(port: int, what: str, option: str) -> int:
    """A port that nobody listens on: the one asked for, or any free one for 0.

    Raises FloeError that names the port and who holds it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do: a port in TIME_WAIT is free
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise FloeError(
                f"port {port} for {what} cannot be used ({error.strerror}): {_holder(port)}",
                f"stop that, or choose another port: {option} N (0 picks a free one)",
            ) from None
        except OverflowError:
            raise FloeError(f"{port} is no port", f"{option} takes a number from 0 to 65535") from None
        return int(probe.getsockname()[1])


def _holder(port: int) -> str:
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                if connection.pid is None:
                    break
                process = psutil.Process(connection.pid)
                return f"process {process.pid} ({process.name()}) of {process.username()} listens there"
    except psutil.Error:
        pass
    return f"a process of another user; ask the machine's administrator, or: sudo lsof -i :{port}"

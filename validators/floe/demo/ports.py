"""Ports of the demo, on loopback."""

from __future__ import annotations

import socket

from floe.errors import FloeError

HOST = "127.0.0.1"


def claim(port: int, what: str, option: str) -> int:
    """A free port on loopback: `port` itself, or any free port for 0.

    `what`: the service, and `option`: the command-line option that sets the port, both for messages. Raises FloeError,
    with the process that uses the port, if it is not free.
    """
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as the servers do, so that a port in TIME_WAIT counts as free
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise FloeError(
                f"port {port} for {what} cannot be used ({error.strerror}): {_holder(port)}",
                f"Stop that process, or choose another port: {option} N (0 picks a free one).",
            ) from None
        except OverflowError:
            raise FloeError(f"{port} is not a port", f"Use a number from 0 to 65535 for {option}.") from None
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
    return f"a process of another user listens there; `sudo lsof -i :{port}` shows it"

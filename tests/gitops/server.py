"""A web server for a cluster: Git over smart HTTP below /git, and the files of a folder, such as a Helm repository.

`gitops.forge` starts this program in a node's network, with the folder, the address and the port as arguments. It uses
only the standard library.
"""

from __future__ import annotations

import http.server
import os
import shutil
import socketserver
import subprocess
import sys
from functools import partial

GIT = shutil.which("git") or "git"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Passes requests below /git to `git http-backend` and answers all others with files."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with Git's list of references, or with a file."""
        if self.path.startswith("/git/"):
            self._git(b"")
        else:
            super().do_GET()

    def do_POST(self) -> None:
        """Answer a request of Git."""
        self._git(self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _git(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        env = {
            "GIT_PROJECT_ROOT": f"{self.directory}/git",
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": path.removeprefix("/git"),
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        done = subprocess.run([GIT, "http-backend"], input=body, env=os.environ | env, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Server(socketserver.ThreadingTCPServer):
    """A server that does not look up its own name; http.server does that and hangs without DNS."""

    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    folder, address, port = sys.argv[1:]
    Server((address, int(port)), partial(Handler, directory=folder)).serve_forever()

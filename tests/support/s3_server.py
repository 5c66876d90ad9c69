"""A real S3 server on this machine, moto's, in a process of its own from the venv that ``./run`` makes for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PYTHON = Path(sys.prefix) / "s3" / "bin" / "python"
_SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()  # until the tests end, however they do
"""
_ENVIRON = {
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """Run the server; yields the environment with which a client reaches it."""
    assert PYTHON.exists(), f"{PYTHON} is missing: ./run installs the S3 server of the tests"
    process = subprocess.Popen([PYTHON, "-c", _SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, f"the S3 server ended with {process.wait()}"
        try:
            yield {**_ENVIRON, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        finally:
            process.kill()


def make_bucket(name: str) -> str:
    """Make a bucket on the server that the environment names."""
    import boto3

    boto3.client("s3").create_bucket(Bucket=name)
    return name

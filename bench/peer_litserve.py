"""The tutor behind LitServe, in batches: ``python bench/peer_litserve.py ENGINE BUNDLE PORT``."""

from __future__ import annotations

import sys
from pathlib import Path

import litserve
from engines import BATCH, PATH, engine


class Tutor(litserve.LitAPI):
    """The tutor in LitServe's worker process."""

    def __init__(self, name: str, bundle: Path) -> None:
        super().__init__(max_batch_size=BATCH, batch_timeout=0.0, api_path=PATH)
        self.name, self.bundle = name, bundle

    def setup(self, device: str) -> None:  # noqa: ARG002 -- the library's signature
        """Load the engine in the worker process."""
        self.correct = engine(self.name, self.bundle)

    def decode_request(self, request: dict[str, str]) -> str:
        """Return the text of a request body."""
        return request["sentence"]

    def predict(self, texts: list[str]) -> list[str]:
        """Answer a batch."""
        return self.correct(texts)

    def encode_response(self, output: str) -> dict[str, str]:
        """Return the body of a reply."""
        return {"correction": output}


if __name__ == "__main__":
    name, bundle, port = sys.argv[1:]
    server = litserve.LitServer(Tutor(name, Path(bundle)), accelerator="cpu", devices=1, workers_per_device=1)
    server.run(host="127.0.0.1", port=int(port), num_api_servers=1, log_level="error", generate_client_file=False)

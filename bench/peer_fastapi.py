"""The tutor behind a plain FastAPI server: ``python bench/peer_fastapi.py ENGINE BUNDLE PORT``."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import uvicorn
from engines import PATH, engine
from fastapi import FastAPI
from pydantic import BaseModel

name, bundle, port = sys.argv[1:]
app, correct, one_at_a_time = FastAPI(), engine(name, Path(bundle)), threading.Lock()


class Ask(BaseModel):
    """The body of a request."""

    sentence: str


@app.post(PATH)
def answer(ask: Ask) -> dict[str, str]:
    """Answer one text, in one of FastAPI's threads."""
    with one_at_a_time:
        return {"correction": correct([ask.sentence])[0]}


uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="error", access_log=False)

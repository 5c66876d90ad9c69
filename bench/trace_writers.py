"""Writers of traces as processes of their own, as the servers of a fleet are: how many traces a second they keep.

``python bench/trace_writers.py URL SUBMITTERS SECONDS`` is one of them: it waits for a line, submits traces from so
many threads, each after the last was durable, and prints how many there were and their median seconds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from typing import NamedTuple

import msgspec

from miniobserve.ids import fresh_request_id, fresh_span
from miniobserve.traces import Assignment, Trace
from miniobserve.writer import TraceWriter


class Written(NamedTuple):
    """What some writers did at the same time."""

    a_second: float
    median: float
    """Seconds until a trace was durable."""


def written(url: str, writers: int, submitters: int, seconds: float = 5.0) -> Written:
    """Run so many writers with so many submitters each."""
    command = [sys.executable, __file__, url, str(submitters), str(seconds)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(writers)
    ]
    for each in started:
        assert each.stdout is not None
        each.stdout.readline()  # it is ready
    for each in started:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    found = [each.communicate()[0].split() for each in started]
    return Written(
        sum(float(count) / float(took) for count, took, _ in found), statistics.median(float(row[2]) for row in found)
    )


def sample() -> Trace:
    """A trace as a server keeps it, of about 1.1 kB."""
    given = Assignment(strategy="canary", epoch=3, salt="3", arm="stable", bucket=1, sticky=True, u="0" * 16)
    return Trace(
        request_id="", trace_id="", span_id="0" * 16, started_ns=time.time_ns(), entry_sha="a" * 64,
        intended_sha="a" * 64, semver="v0.1.0", assignment=given, unit_hash="c" * 64,
        input="Yesterday he goed to school. " * 3, output="Yesterday he went to school. " * 3, accepted=False,
        features={"verb": "go", "tense": "past_simple", "person": "3sg"},
        stages={"queue": 0.0001, "tokenize": 0.0002, "prefill": 0.001, "decode": 0.004, "format": 0.0001},
        seconds=0.005, input_tokens=9, output_tokens=9, cost=1e-8, rate_per_hour=0.05, graded=True,
    )  # fmt: skip


def main(url: str, submitters: int, seconds: float) -> None:
    """Be one writer."""
    like = sample()
    given = like.assignment
    writer = TraceWriter(url)
    times: list[list[float]] = [[] for _ in range(submitters)]
    print("ready", flush=True)
    sys.stdin.readline()
    until = time.perf_counter() + seconds

    def submit(mine: list[float], number: int) -> None:
        while (began := time.perf_counter()) < until:
            unit = msgspec.structs.replace(given, u=f"{(number * 7919 + len(mine)) % 100_000:016x}")
            trace = msgspec.structs.replace(
                like, request_id=fresh_request_id(), trace_id=fresh_span().trace_id, started_ns=time.time_ns(),
                assignment=unit,
            )  # fmt: skip
            writer.submit(trace).result()
            mine.append(time.perf_counter() - began)

    began = time.perf_counter()
    threads = [threading.Thread(target=submit, args=(each, os.getpid() + n)) for n, each in enumerate(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    every = [one for each in times for one in each]
    print(len(every), took, statistics.median(every), flush=True)
    os._exit(0)  # without the last sums, which would be made while others are still being timed


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))

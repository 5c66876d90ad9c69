"""The program of a server's worker process: it answers texts, and makes what a trace records of an answer.

All code of a workload runs here, so that none of it can block or end the server.
"""

from __future__ import annotations

import sys

from modelspine.drift.reference import Values
from modelspine.model_process import Recorded, main
from modelspine.workload import Workload


def values_of(workload: Workload) -> Recorded:
    """The function that makes what drift is measured on, of an answered text."""
    return Values(workload).of_answer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], values_of))

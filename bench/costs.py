"""Write docs/COSTS.md from the committed sample, or take a new sample from this clone's traces first.

python bench/costs.py                  docs/COSTS.md from data/samples/costs.jsonl
python bench/costs.py sample DAY "OF"  the sample anew, from a day's oldest requests in the store; then the page
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "data" / "samples" / "costs.jsonl"
PAGE = ROOT / "docs" / "COSTS.md"
REQUESTS = 400


def page() -> str:
    """Return the page made from the committed sample, dated as the sample is."""
    from minitutor.workload import Minitutor
    from modelspine.cli.cost import markdown
    from modelspine.cost.query import sampled
    from modelspine.words import use, words_of

    use(lambda: words_of(Minitutor()))  # the sample is the demo's
    return "\n".join(markdown(sampled(SAMPLE))) + "\n"


def main(words: list[str]) -> int:
    from modelspine.cost.query import sample
    from modelspine.spine import open_spine

    if words and (words[0] != "sample" or len(words) != 3):
        print(__doc__, file=sys.stderr)
        return 2
    if words:
        with open_spine(ROOT / "demo", readonly=True) as spine:
            lines = list(sample(spine, words[2], REQUESTS, words[1]))
        SAMPLE.parent.mkdir(parents=True, exist_ok=True)
        SAMPLE.write_bytes(b"".join(lines))
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

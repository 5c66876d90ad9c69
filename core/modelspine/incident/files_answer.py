"""What answer 1 of a walk says of the images and other files of a request: where their bytes are, and what gets them.

It does not know which model answered.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from miniobserve.traces import Trace
from modelspine.incident.finding import Finding
from modelspine.kept_files.digests import digests_in
from modelspine.settings import masked
from modelspine.signs import WORDS
from modelspine.text import argument, counted, visible

_MOST = 10
"""Files that are read again for a walk; `spine traces show` reads more."""


def with_files(found: Finding, trace: Trace, place: str) -> Finding:
    """Answer 1 with the files of the request; as it is where the request names none.

    Its status stays that of the model: a lost image says nothing about which model answered.
    """
    digests = digests_in(trace)
    if not digests:
        return found
    from modelspine.kept_files.reading import looked_up  # only where there are files: it opens their store

    files = list(looked_up(place, digests[:_MOST]))
    count = Counter(each.state for each in files)
    command = f"spine traces show {argument(trace.request_id)}{' --save DIR' if count['kept'] else ''}"
    where = f" at {visible(masked(place), 120)}" if count["kept"] else ""
    if set(count) == {files[0].state}:
        text = f"{counted(len(files), 'file')} of the request {WORDS.get(files[0].state, files[0].state)}{where}"
    else:
        states = ", ".join(f"{number:,} {WORDS.get(state, state)}" for state, number in count.items())
        text = f"{counted(len(files), 'file')} of the request ({states}{where})"
    more = f", and {len(digests) - len(files):,} more" if len(digests) > len(files) else ""
    evidence = {**found.evidence, "files": msgspec.to_builtins(files)}
    return msgspec.structs.replace(
        found, answer=visible(f"{found.answer}; {text}{more} (`{command}`)", 900), evidence=evidence
    )

"""The name under which an evaluation counts a label or an answer, so that what is counted is found again.

It does not know what is counted.
"""

from __future__ import annotations

from typing import Any

from modelspine.described.records import as_text, category
from modelspine.described.table import WorkloadTable
from modelspine.text import visible

NONE = "(none)"
"""The name of a value that is empty or missing."""
_SHOWN = 60


def label_name(table: WorkloadTable, label: Any) -> str:
    """The name of a label or an answer; of one that is compared whatever its case, without its capitals."""
    text = category(label) or visible(as_text(label), _SHOWN) or NONE
    return text.casefold() if table.compare == "casefold" else text

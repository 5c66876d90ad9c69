"""An element added to the text of a JSON file: a reviewer sees the addition and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from modelspine.json_edit import with_element

NEW = {"id": "m", "text": 'he "goed", he did: [{', "form": ["é\u202e"]}
LAYOUTS: dict[str, Callable[[object], str]] = {
    "two spaces": lambda data: json.dumps(data, indent=2) + "\n",
    "four spaces": lambda data: json.dumps(data, indent=4) + "\n",
    "tabs": lambda data: json.dumps(data, indent="\t") + "\n",
    "windows": lambda data: (json.dumps(data, indent=2) + "\n").replace("\n", "\r\n"),
    "no last line break": lambda data: json.dumps(data, indent=2),
    "one line": lambda data: json.dumps(data) + "\n",
    "without spaces": lambda data: json.dumps(data, separators=(",", ":")),
    "an item a line": lambda data: json.dumps(data).replace("[{", "[\n    {").replace("}, {", "},\n    {") + "\n",
}
IDS: list[tuple[list[str], int]] = [([], 0), (["a"], 1), (["z"], 0), (["a", "b", "z"], 2), (["a", "b"], 2)]


def data_of(ids: list[str]) -> dict[str, object]:
    items = [{"id": each, "text": '[]{},\\" \r\n'} for each in ids]
    return {"after": {"items": [1]}, "items": items, "last": [[], {}, "items"]}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("ids", "place"), IDS)
def test_the_element_is_added_and_everything_else_stays(layout: str, ids: list[str], place: int) -> None:
    data = data_of(ids)
    before = LAYOUTS[layout](data)
    after = with_element(before, "items", NEW, place)
    expected = json.loads(json.dumps(data))
    expected["items"].insert(place, NEW)
    assert json.loads(after) == expected
    at = next((n for n, (old, new) in enumerate(zip(before, after, strict=False)) if old != new), len(before))
    if ids:
        assert after[at + len(after) - len(before) :] == before[at:], "one piece was put in, and nothing taken away"
    assert after.isascii()


@pytest.mark.parametrize("layout", ["two spaces", "four spaces", "tabs", "windows", "no last line break"])
def test_it_is_laid_out_as_its_neighbours_are(layout: str) -> None:
    """The same bytes that the file's own program would write, keys sorted."""
    for ids, place in IDS:
        data = data_of(ids)
        expected = json.loads(json.dumps(data))
        expected["items"].insert(place, dict(sorted(NEW.items())))
        assert with_element(LAYOUTS[layout](data), "items", NEW, place) == LAYOUTS[layout](expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("keys", "place"), [("bj", 1), ("jk", 0), ("ab", 2), ("za", 2)])
def test_a_missing_array_is_added_with_its_key(layout: str, keys: str, place: int) -> None:
    """In its place among sorted keys, else as the last one."""
    data: dict[str, object] = {key: {"x": 1} for key in keys}
    after = with_element(LAYOUTS[layout](data), "items", NEW, 0)
    assert json.loads(after) == {**data, "items": [NEW]}
    assert list(json.loads(after)).index("items") == place
    assert after.count("\r\n") == (after.count("\n") if layout == "windows" else 0)


def test_an_unsorted_and_hand_made_layout_keeps_its_oddities() -> None:
    before = '{ "b" :1,\n\n   "items":[ {"id":"a" , "n":1.50},{"id":"b"} ]  ,"a":1e2}\n\n'
    after = with_element(before, "items", {"id": "c"}, 2)
    assert after == before.replace('{"id":"b"}', '{"id":"b"},{"id":"c"}')

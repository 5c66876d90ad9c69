"""The sentences about costs."""

from __future__ import annotations

import msgspec

from cost_requests import A, B, C, entry, figures, spent
from modelspine.cost.summary import choice_sentence, entry_sentence, name_of, version_sentence

NAME_A, NAME_B = A[:12], B[:12]


def test_the_cheapest_and_the_best_are_named() -> None:
    found = figures(
        (entry(A, 900), [spent(A)] * 50), (entry(B, 950), [spent(B, 0.02)] * 50), (entry(C, 500), [spent(C, 0.03)] * 9)
    )
    said = choice_sentence(found)
    assert said.startswith(f"Cheapest: {NAME_A} (")
    assert f"most often correct: {NAME_B} (" in said
    assert said.endswith(f"; another one is cheaper and better than {C[:12]}")
    assert version_sentence(found).startswith(f"In live traffic, a million right answers cost least from {NAME_A} (")


def test_one_entry_may_be_both() -> None:
    found = figures((entry(A, 900), [spent(A, 0.02)] * 50), (entry(B, 950), [spent(B)] * 50))
    assert choice_sentence(found).startswith(f"Cheapest and most often correct: {NAME_B} (")


def test_nothing_is_compared_that_has_another_rent() -> None:
    found = figures((entry(A, 900), [spent(A)] * 50), (entry(B, 950), [spent(B, rate=7.0)] * 5))
    assert choice_sentence(found).startswith(f"Only {NAME_A} (")
    assert "no other version has a price that can be compared" in version_sentence(found)


def test_what_is_unknown_is_said() -> None:
    (none,) = figures((entry(A, 900), []))
    assert choice_sentence([none]) == "Nothing to choose from: no entry has both a price and an evaluation"
    assert version_sentence([]) == "What right answers cost in live traffic is unknown for every version"
    assert entry_sentence(none).startswith(f"What an answer of {NAME_A} costs is unknown: it answered no request")
    (poor,) = figures((entry(A, 0, n=0), [spent(A)] * 3))
    assert "for 3 priced requests; what its right answers cost is unknown" in entry_sentence(poor)


def test_equal_prices_and_bounds_that_overlap_are_said() -> None:
    same = figures((entry(A, 900), [spent(A)] * 50), (entry(B, 900), [spent(B)] * 50))
    assert version_sentence(same).startswith("In live traffic, a million right answers of each of 2 versions cost ")
    close = figures((entry(A, 900), [spent(A)] * 50), (entry(B, 902), [spent(B)] * 50))
    assert version_sentence(close).endswith("; the 95 % bounds overlap")


def test_a_held_entry_is_no_choice_and_names_are_harmless() -> None:
    found = figures(
        (msgspec.structs.replace(entry(A, 900), held=True), [spent(A)]),
        (msgspec.structs.replace(entry(B, 950), semver="v1\x1b[2J"), [spent(B)]),
    )
    assert choice_sentence(found).startswith("Only v1␛[2J (")
    assert name_of(found[1]) == "v1␛[2J"

"""The oracle: exact on the grid, silent elsewhere, unmoved by hostile text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitutor import parse
from minitutor.workload import Minitutor


@pytest.mark.parametrize(
    ("text", "cell", "error", "right"),
    [
        ("Yesterday he goed to school.", "go past_simple 3sg", "over_regularised", "Yesterday he went to school."),
        ("I goes home.", "go present_simple 1sg", "extra_s", "I go home."),
        ("She never do the dishes.", "do present_simple 3sg", "missing_s", "She never does the dishes."),
        ("You have ate.", "eat past_participle 2sg", "past_for_participle", "You have eaten."),
        ("He'll saw it later.", "see simple_future 3sg", "inflected_after_will_to", "He'll see it later."),
        ("I would like to wrote it.", "write infinitive 1sg", "inflected_after_will_to", "I would like to write it."),
        ("You was late.", "be past_simple 2sg", "wrong_be_form", "You were late."),
        ("I have breakfast.", "have present_simple 1sg", "none", "I have breakfast."),
        ("Well. He go. She go!", "go present_simple 3sg", "missing_s", "Well. He goes. She goes!"),
    ],
)
def test_reads_a_cell(text: str, cell: str, error: str, right: str) -> None:
    parsed = parse.parse(text)
    assert parsed is not None
    assert f"{parsed.cell.verb} {parsed.cell.tense} {parsed.cell.person}" == cell
    assert parsed.error_type == error
    assert parse.oracle(text) == right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("I goed to the store.", "I went to the store."),
        ("It work.", "It works."),
        ("They goes home.", "They go home."),
        ("Yesterday Łukasz eated an apple.", "Yesterday Łukasz ate an apple."),
        ("美玲 goed to school.", "美玲 went to school."),
        ("My brother's dog eat fish.", "My brother's dog eats fish."),
        ("Anna's brothers was here.", "Anna's brothers were here."),
        ("Last summer my little brother writed a letter.", "Last summer my little brother wrote a letter."),
        ("The children goes to school.", "The children go to school."),
        ("Two friends comes by bus.", "Two friends come by bus."),
        ("Anna and Ben goes to school.", "Anna and Ben go to school."),
        ("My brother and I was happy.", "My brother and I were happy."),
        ("Everybody go home.", "Everybody goes home."),
        ("James go to school.", "James goes to school."),
        ("Mr. Smith go to work.", "Mr. Smith goes to work."),
        ("These books is good.", "These books are good."),
        ("He does not goes.", "He does not go."),
        ("They didn't went to Kraków.", "They didn't go to Kraków."),
        ("Did he went to school?", "Did he go to school?"),
        ("doesn't she goes home?", "doesn't she go home?"),
        ("Where does my brother goes?", "Where does my brother go?"),
        ("How many books does he has?", "How many books does he have?"),
        ("Will Otto's sister and his grandfather plays?", "Will Otto's sister and his grandfather play?"),
        ("Have they ate?", "Have they eaten?"),
        ("Was you at home?", "Were you at home?"),
        ("Why is they late?", "Why are they late?"),
        ("They wasn’t at home.", "They weren’t at home."),
        ("He won't goes to school.", "He won't go to school."),
        ("He don't go to school.", "He doesn't go to school."),
        ("My brother have gone to work.", "My brother has gone to work."),
        ("She have lived here for ten years.", "She has lived here for ten years."),
        ("She's went home.", "She's gone home."),
        ("He haves a dog.", "He has a dog."),
        ("I wants to goes home.", "I want to go home."),
        ("She has never went to Madrid since 2010.", "She has never gone to Madrid since 2010."),
        ("When I came home, she eated the soup.", "When I came home, she ate the soup."),
        ("I like football and my brother like tennis.", "I like football and my brother likes tennis."),
        ("He walked home and eated a cake.", "He walked home and ate a cake."),
        ("He often does the cooking and my parents likes it.", "He often does the cooking and my parents like it."),
        ("I am happy because he work here.", "I am happy because he works here."),
        ("She have recently went home.", "She has recently gone home."),
        ("He do quickly goes home.", "He does quickly go home."),
        ("My mother and father likes tea.", "My mother and father like tea."),
        ("Every boy and every girl want it.", "Every boy and every girl wants it."),
        ("He will probably not goes.", "He will probably not go."),
        ("My sister like him.", "My sister likes him."),
        ("There is many people here.", "There are many people here."),
        ("I came to saw you.", "I came to see you."),
        ("i goed home and she watchs TV.", "i went home and she watches TV."),
        ("I like him and he like me.", "I like him and he likes me."),
        ("Do you think he like it?", "Do you think he likes it?"),
        ("They're nice, isn't they?", "They're nice, aren't they?"),
        ("How is you?", "How are you?"),
        ("He don´t go.", "He doesn´t go."),
    ],
)
def test_reads_the_frames_learners_write(text: str, right: str) -> None:
    assert parse.oracle(text) == right
    assert parse.oracle(right) == right
    read = parse.parse(text)
    assert read is not None
    assert read.error_type != "none"


@pytest.mark.parametrize(
    "text",
    [
        "The school play was good.",
        "It is true that the dog walks home.",
        "I saw my sister go home.",
        "He goes to work by bus.",
        "My father and my mother like to walk.",
        "I like my brother and he likes me.",
        "My news is good.",
        "He looks like a star.",
        "He wants them to go home and eat.",
        "He works and so do I.",
        "Not only does he work, he also studies.",
        "The rich go to the beach and the sheep are here.",
        "Every day do your homework.",
        "All he does is work.",
        "Both my brother and my sister go home.",
        "What are your brother and sister like?",
        "A man like him works here.",
        "The boys next door play football.",
        "Ten euros is enough.",
        "The brothers-in-law are here.",
        "I suggest that he go home.",
        "He go's home, he go2 and he goed_x at goed.com.",
        "My family is and are here.",
        "I have a dog and my brother has a cat.",
        "Will Smith has a car.",
        "This watch looks nice.",
        "My dad likes football and my mom likes tennis.",
        "Is the boys' room clean?",
        "I heard my mother come home.",
        "Are Italians loud?",
        "Go see him.",
        "Someone like you is nice.",
        "Rarely does he go out.",
        "Does Tom or Ana work?",
        "The work was good and my studies are hard.",
    ],
)
def test_right_sentences_are_right(text: str) -> None:
    assert parse.oracle(text) in {text, None}


def test_after_do_the_tense_is_the_helpers_and_the_mistake_an_inflected_verb() -> None:
    for text, tense in (("He didn't went.", "past_simple"), ("Does she goes?", "present_simple")):
        read = parse.parse(text)
        assert read is not None
        assert (read.cell.tense, read.error_type, read.right) == (tense, "inflected_after_will_to", "go")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Nice weather today.",
        "Yesterday he go home.",
        "He gone home.",
        "he",
        "He swims every day.",
        "Tomorrow he goed home.",
        "HE GOED HOME",
        "Where he go?",
        "If I were you, go home.",
        "Dogs like bones.",
        "Can he goes home?",
        "Let my brother go.",
        "The dog in the park play.",
        "Go home!",
        "I am go.",
        "It was wrote by him.",
        "I isn't",
    ],
)
def test_leaves_alone_what_is_no_frame(text: str) -> None:
    assert parse.parse(text) is None
    assert parse.oracle(text) is None
    assert Minitutor().features(text) == {}


def test_features_name_the_cell() -> None:
    found = Minitutor().features("Yesterday he goed to school.")
    assert found == {
        "verb": "go",
        "tense": "past_simple",
        "person": "3sg",
        "regularity": "irregular",
        "error_type": "over_regularised",
        "form": "goed",
        "length": "up to 5 words",
    }


@given(
    st.text(max_size=500) | st.lists(st.sampled_from(["he ", "I ", "have ", "to ", "goed", "\u202e", "."])).map("".join)
)
def test_hostile_text_is_read_without_harm(text: str) -> None:
    parsed = parse.parse(text)
    if parsed is not None:
        assert text[parsed.at : parsed.at + len(parsed.form)] == parsed.form

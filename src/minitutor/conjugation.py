"""The forms of twenty English verbs and their Spanish, as tables and the few rules of spelling.

It knows words only: which cells exist is ``grid``'s, which sentences use them the templates'.
"""

from __future__ import annotations

from typing import Final

import msgspec

REGULAR: Final = ("work", "play", "walk", "talk", "listen", "watch", "study", "finish", "start", "look", "want", "like")
IRREGULAR: Final = ("be", "have", "do", "go", "come", "see", "eat", "write")
VERBS: Final = REGULAR + IRREGULAR
PERSONS: Final = ("1sg", "2sg", "3sg")

_PAST: Final = {
    "have": "had",
    "do": "did",
    "go": "went",
    "come": "came",
    "see": "saw",
    "eat": "ate",
    "write": "wrote",
}
_PARTICIPLE: Final = {
    "be": "been",
    "have": "had",
    "do": "done",
    "go": "gone",
    "come": "come",
    "see": "seen",
    "eat": "eaten",
    "write": "written",
}
BE_PRESENT: Final = {"1sg": "am", "2sg": "are", "3sg": "is"}
BE_PAST: Final = {"1sg": "was", "2sg": "were", "3sg": "was"}


class Spanish(msgspec.Struct, frozen=True):
    """A Spanish verb: infinitive, yo/tú/él of present and preterite, participle, stem of the future."""

    infinitive: str
    present: tuple[str, str, str]
    past: tuple[str, str, str]
    participle: str
    future_stem: str


def _regular_ar(stem: str) -> Spanish:
    """A Spanish verb of the first conjugation that follows the rule."""
    return Spanish(
        f"{stem}ar",
        (f"{stem}o", f"{stem}as", f"{stem}a"),
        (f"{stem}é", f"{stem}aste", f"{stem}ó"),
        f"{stem}ado",
        f"{stem}ar",
    )


SPANISH: Final = {
    "work": _regular_ar("trabaj"),
    "play": Spanish("jugar", ("juego", "juegas", "juega"), ("jugué", "jugaste", "jugó"), "jugado", "jugar"),
    "walk": _regular_ar("camin"),
    "talk": _regular_ar("habl"),
    "listen": _regular_ar("escuch"),
    "watch": _regular_ar("mir"),
    "study": _regular_ar("estudi"),
    "finish": _regular_ar("termin"),
    "start": Spanish(
        "empezar", ("empiezo", "empiezas", "empieza"), ("empecé", "empezaste", "empezó"), "empezado", "empezar"
    ),
    "look": _regular_ar("mir"),
    "want": Spanish("querer", ("quiero", "quieres", "quiere"), ("quise", "quisiste", "quiso"), "querido", "querr"),
    # Turned round: what is liked is the subject, the one who likes stands in the clitic.
    "like": Spanish("gustar", ("gusta",) * 3, ("gustó",) * 3, "gustado", ""),
    "be": Spanish("estar", ("estoy", "estás", "está"), ("estuve", "estuviste", "estuvo"), "estado", "estar"),
    "have": Spanish("tener", ("tengo", "tienes", "tiene"), ("tuve", "tuviste", "tuvo"), "tenido", "tendr"),
    "do": Spanish("hacer", ("hago", "haces", "hace"), ("hice", "hiciste", "hizo"), "hecho", "har"),
    "go": Spanish("ir", ("voy", "vas", "va"), ("fui", "fuiste", "fue"), "ido", "ir"),
    "come": Spanish("venir", ("vengo", "vienes", "viene"), ("vine", "viniste", "vino"), "venido", "vendr"),
    "see": Spanish("ver", ("veo", "ves", "ve"), ("vi", "viste", "vio"), "visto", "ver"),
    "eat": Spanish("comer", ("como", "comes", "come"), ("comí", "comiste", "comió"), "comido", "comer"),
    "write": Spanish(
        "escribir", ("escribo", "escribes", "escribe"), ("escribí", "escribiste", "escribió"), "escrito", "escribir"
    ),
}


def regularity(verb: str) -> str:
    """``regular`` or ``irregular``."""
    return "irregular" if verb in IRREGULAR else "regular"


def third_person(verb: str) -> str:
    """The form with he or she in the present simple."""
    if verb in {"be", "have"}:
        return {"be": "is", "have": "has"}[verb]
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("o", "sh", "ch", "s", "x")) else "s")


def with_ed(verb: str) -> str:
    """The past by rule: right for a regular verb, over-regularised for an irregular one."""
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + ("d" if verb.endswith("e") else "ed")


def past(verb: str, person: str) -> str:
    """The past simple."""
    return BE_PAST[person] if verb == "be" else _PAST.get(verb) or with_ed(verb)


def participle(verb: str) -> str:
    """The past participle."""
    return _PARTICIPLE.get(verb) or with_ed(verb)


def present(verb: str, person: str) -> str:
    """The present simple."""
    if verb == "be":
        return BE_PRESENT[person]
    return third_person(verb) if person == "3sg" else verb


def spanish(verb: str, tense: str, person: str) -> str:
    """The cell in Spanish, without its pronoun; *like* turns round, as ``gustar`` does."""
    word, at = SPANISH[verb], PERSONS.index(person)
    clitic = ("me ", "te ", "le ")[at] if verb == "like" else ""
    if tense == "infinitive":
        return f"{word.infinitive}{clitic.strip()}"
    if tense == "present_simple":
        return clitic + word.present[at]
    if tense == "past_simple":
        return clitic + word.past[at]
    if tense == "past_participle":
        helper = "ha" if clitic else ("he", "has", "ha")[at]
        return f"{clitic}{helper} {word.participle}"
    if clitic:
        return f"{clitic}gustará"
    return word.future_stem + ("é", "ás", "á")[at]

"""The forms of twenty English verbs and their Spanish translations, from tables and a few spelling rules.

It knows words only: ``grid`` defines the cells, ``templates`` the sentences.
"""

from __future__ import annotations

from typing import Final

import msgspec

REGULAR: Final = ("work", "play", "walk", "talk", "listen", "watch", "study", "finish", "start", "look", "want", "like")
IRREGULAR: Final = ("be", "have", "do", "go", "come", "see", "eat", "write")
VERBS: Final = REGULAR + IRREGULAR
PERSONS: Final = ("1sg", "2sg", "3sg")
"""The persons of the grid. Plural persons take the forms of 2sg in English, so they need no cells of their own."""
SPANISH_PERSONS: Final = (*PERSONS, "1pl", "3pl")

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
    """A Spanish verb: infinitive, yo/tú/él/nosotros/ellos of present and preterite, participle, future stem."""

    infinitive: str
    present: tuple[str, str, str, str, str]
    past: tuple[str, str, str, str, str]
    participle: str
    future_stem: str


def _regular_ar(stem: str) -> Spanish:
    """Return a regular Spanish verb in *-ar*."""
    return Spanish(
        f"{stem}ar",
        (f"{stem}o", f"{stem}as", f"{stem}a", f"{stem}amos", f"{stem}an"),
        (f"{stem}é", f"{stem}aste", f"{stem}ó", f"{stem}amos", f"{stem}aron"),
        f"{stem}ado",
        f"{stem}ar",
    )


SPANISH: Final = {
    "work": _regular_ar("trabaj"),
    "play": Spanish(
        "jugar",
        ("juego", "juegas", "juega", "jugamos", "juegan"),
        ("jugué", "jugaste", "jugó", "jugamos", "jugaron"),
        "jugado",
        "jugar",
    ),
    "walk": _regular_ar("camin"),
    "talk": _regular_ar("habl"),
    "listen": _regular_ar("escuch"),
    "watch": _regular_ar("mir"),
    "study": _regular_ar("estudi"),
    "finish": _regular_ar("termin"),
    "start": Spanish(
        "empezar",
        ("empiezo", "empiezas", "empieza", "empezamos", "empiezan"),
        ("empecé", "empezaste", "empezó", "empezamos", "empezaron"),
        "empezado",
        "empezar",
    ),
    "look": _regular_ar("mir"),
    "want": Spanish(
        "querer",
        ("quiero", "quieres", "quiere", "queremos", "quieren"),
        ("quise", "quisiste", "quiso", "quisimos", "quisieron"),
        "querido",
        "querr",
    ),
    # gustar is inverted: the thing liked is the subject, and the person who likes it is the clitic.
    "like": Spanish("gustar", ("gusta",) * 5, ("gustó",) * 5, "gustado", ""),
    "be": Spanish(
        "estar",
        ("estoy", "estás", "está", "estamos", "están"),
        ("estuve", "estuviste", "estuvo", "estuvimos", "estuvieron"),
        "estado",
        "estar",
    ),
    "have": Spanish(
        "tener",
        ("tengo", "tienes", "tiene", "tenemos", "tienen"),
        ("tuve", "tuviste", "tuvo", "tuvimos", "tuvieron"),
        "tenido",
        "tendr",
    ),
    "do": Spanish(
        "hacer",
        ("hago", "haces", "hace", "hacemos", "hacen"),
        ("hice", "hiciste", "hizo", "hicimos", "hicieron"),
        "hecho",
        "har",
    ),
    "go": Spanish(
        "ir", ("voy", "vas", "va", "vamos", "van"), ("fui", "fuiste", "fue", "fuimos", "fueron"), "ido", "ir"
    ),
    "come": Spanish(
        "venir",
        ("vengo", "vienes", "viene", "venimos", "vienen"),
        ("vine", "viniste", "vino", "vinimos", "vinieron"),
        "venido",
        "vendr",
    ),
    "see": Spanish(
        "ver", ("veo", "ves", "ve", "vemos", "ven"), ("vi", "viste", "vio", "vimos", "vieron"), "visto", "ver"
    ),
    "eat": Spanish(
        "comer",
        ("como", "comes", "come", "comemos", "comen"),
        ("comí", "comiste", "comió", "comimos", "comieron"),
        "comido",
        "comer",
    ),
    "write": Spanish(
        "escribir",
        ("escribo", "escribes", "escribe", "escribimos", "escriben"),
        ("escribí", "escribiste", "escribió", "escribimos", "escribieron"),
        "escrito",
        "escribir",
    ),
}


def regularity(verb: str) -> str:
    """Return ``regular`` or ``irregular``."""
    return "irregular" if verb in IRREGULAR else "regular"


def third_person(verb: str) -> str:
    """Return the third person singular of the present simple."""
    if verb in {"be", "have"}:
        return {"be": "is", "have": "has"}[verb]
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("o", "sh", "ch", "s", "x")) else "s")


def with_ed(verb: str) -> str:
    """Return the past in *-ed*: correct for a regular verb, over-regularised for an irregular one."""
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + ("d" if verb.endswith("e") else "ed")


def naive_third(verb: str) -> list[str]:
    """Return the third person by adding only *s* if that is wrong (*haves*, *gos*, *watchs*); else nothing."""
    return [f"{verb}s"] if verb != "be" and f"{verb}s" != third_person(verb) else []


def forms(verb: str) -> list[str]:
    """Return every word of a verb: the base, the other correct forms, then learners' forms (*goed*, *haves*)."""
    if verb == "be":
        return ["be", "am", "is", "are", "was", "were", "been"]
    right = [verb, third_person(verb), past(verb, "3sg"), participle(verb)]
    return list(dict.fromkeys([*right, with_ed(verb), *naive_third(verb)]))


def past(verb: str, person: str) -> str:
    """Return the past simple."""
    return BE_PAST[person] if verb == "be" else _PAST.get(verb) or with_ed(verb)


def participle(verb: str) -> str:
    """Return the past participle."""
    return _PARTICIPLE.get(verb) or with_ed(verb)


def present(verb: str, person: str) -> str:
    """Return the present simple."""
    if verb == "be":
        return BE_PRESENT[person]
    return third_person(verb) if person == "3sg" else verb


def spanish(verb: str, tense: str, person: str) -> str:
    """Return a cell's Spanish translation without the pronoun; *like* is translated by the inverted ``gustar``."""
    word, at = SPANISH[verb], SPANISH_PERSONS.index(person)
    clitic = ("me ", "te ", "le ", "nos ", "les ")[at] if verb == "like" else ""
    if tense == "infinitive":
        return f"{word.infinitive}{clitic.strip()}"
    if tense == "present_simple":
        return clitic + word.present[at]
    if tense == "past_simple":
        return clitic + word.past[at]
    if tense == "past_participle":
        helper = "ha" if clitic else ("he", "has", "ha", "hemos", "han")[at]
        return f"{clitic}{helper} {word.participle}"
    if clitic:
        return f"{clitic}gustará"
    return word.future_stem + ("é", "ás", "á", "emos", "án")[at]

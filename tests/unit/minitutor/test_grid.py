"""All 300 cells, against forms stated here and not taken from the tables."""

from __future__ import annotations

from minitutor import conjugation, grid, mistakes

# verb: he-form, past, participle; Spanish: infinitive, yo/tú/él present, past, participle, yo future.
FORMS = """
work works worked worked | trabajar trabajo trabajas trabaja trabajé trabajaste trabajó trabajado trabajaré
play plays played played | jugar juego juegas juega jugué jugaste jugó jugado jugaré
walk walks walked walked | caminar camino caminas camina caminé caminaste caminó caminado caminaré
talk talks talked talked | hablar hablo hablas habla hablé hablaste habló hablado hablaré
listen listens listened listened | escuchar escucho escuchas escucha escuché escuchaste escuchó escuchado escucharé
watch watches watched watched | mirar miro miras mira miré miraste miró mirado miraré
study studies studied studied | estudiar estudio estudias estudia estudié estudiaste estudió estudiado estudiaré
finish finishes finished finished | terminar termino terminas termina terminé terminaste terminó terminado terminaré
start starts started started | empezar empiezo empiezas empieza empecé empezaste empezó empezado empezaré
look looks looked looked | mirar miro miras mira miré miraste miró mirado miraré
want wants wanted wanted | querer quiero quieres quiere quise quisiste quiso querido querré
have has had had | tener tengo tienes tiene tuve tuviste tuvo tenido tendré
do does did done | hacer hago haces hace hice hiciste hizo hecho haré
go goes went gone | ir voy vas va fui fuiste fue ido iré
come comes came come | venir vengo vienes viene vine viniste vino venido vendré
see sees saw seen | ver veo ves ve vi viste vio visto veré
eat eats ate eaten | comer como comes come comí comiste comió comido comeré
write writes wrote written | escribir escribo escribes escribe escribí escribiste escribió escrito escribiré
"""
PERSONS = ("1sg", "2sg", "3sg")


def stated() -> dict[tuple[str, str, str], tuple[str, str]]:
    found = {}
    for line in FORMS.strip().splitlines():
        english, spanish = line.split(" | ")
        verb, third, past, participle = english.split()
        infinitive, *rest = spanish.split()
        present, preterite, ido, future = rest[:3], rest[3:6], rest[6], rest[7]
        for at, person in enumerate(PERSONS):
            found[verb, "infinitive", person] = (verb, infinitive)
            found[verb, "present_simple", person] = (third if at == 2 else verb, present[at])
            found[verb, "past_simple", person] = (past, preterite[at])
            found[verb, "past_participle", person] = (participle, f"{('he', 'has', 'ha')[at]} {ido}")
            found[verb, "simple_future", person] = (verb, future[:-1] + ("é", "ás", "á")[at])
    for at, person in enumerate(PERSONS):
        me = ("me", "te", "le")[at]
        found["like", "infinitive", person] = ("like", f"gustar{me}")
        found["like", "present_simple", person] = (("like", "like", "likes")[at], f"{me} gusta")
        found["like", "past_simple", person] = ("liked", f"{me} gustó")
        found["like", "past_participle", person] = ("liked", f"{me} ha gustado")
        found["like", "simple_future", person] = ("like", f"{me} gustará")
        found["be", "infinitive", person] = ("be", "estar")
        found["be", "present_simple", person] = (("am", "are", "is")[at], ("estoy", "estás", "está")[at])
        found["be", "past_simple", person] = (("was", "were", "was")[at], ("estuve", "estuviste", "estuvo")[at])
        found["be", "past_participle", person] = ("been", ("he estado", "has estado", "ha estado")[at])
        found["be", "simple_future", person] = ("be", ("estaré", "estarás", "estará")[at])
    return found


def test_every_cell_has_its_form_and_its_spanish() -> None:
    assert {key: (cell.form, cell.spanish) for key, cell in grid.cells().items()} == stated()
    assert len(grid.cells()) == 300


def test_regularity() -> None:
    irregular = {cell.verb for cell in grid.cells().values() if cell.regularity == "irregular"}
    assert irregular == {"be", "have", "do", "go", "come", "see", "eat", "write"}


def test_mistakes_of_the_taxonomy() -> None:
    wrong = mistakes.wrong_forms
    assert wrong("go", "past_simple", "3sg") == {"goed": "over_regularised"}
    assert wrong("go", "present_simple", "3sg") == {"go": "missing_s", "gos": "over_regularised"}
    assert wrong("study", "present_simple", "1sg") == {"studies": "extra_s", "studys": "extra_s"}
    assert wrong("eat", "past_participle", "2sg") == {"ate": "past_for_participle", "eated": "over_regularised"}
    after_will = dict.fromkeys(["sees", "saw", "seen", "seed"], "inflected_after_will_to")
    assert wrong("see", "simple_future", "1sg") == after_will
    assert wrong("see", "past_simple", "1sg", bare=True) == after_will
    assert wrong("be", "past_simple", "2sg") == {"was": "wrong_be_form"}
    assert wrong("work", "past_simple", "3sg") == {}
    assert mistakes.right_form("go", "past_simple", "3sg") == "went"
    assert mistakes.right_form("go", "past_simple", "3sg", bare=True) == "go"


def test_no_mistake_is_a_right_form_of_its_cell() -> None:
    found = [
        (cell, error, word)
        for cell in grid.cells().values()
        for word, error in mistakes.wrong_forms(cell.verb, cell.tense, cell.person).items()
    ]
    assert {error for _, error, _ in found} == set(mistakes.MISTAKES)
    assert all(word != cell.form for cell, _, word in found)


def test_we_and_they_have_a_spanish_of_their_own() -> None:
    assert conjugation.spanish("go", "present_simple", "1pl") == "vamos"
    assert conjugation.spanish("start", "past_simple", "3pl") == "empezaron"
    assert conjugation.spanish("have", "simple_future", "3pl") == "tendrán"
    assert conjugation.spanish("see", "past_participle", "1pl") == "hemos visto"
    assert conjugation.spanish("like", "past_simple", "3pl") == "les gustó"

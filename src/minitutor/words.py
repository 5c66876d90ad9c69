"""The closed word classes that the parser uses: helpers, determiners, conjunctions, words of time.

Names and nouns are recognised by their position; only exceptions to spelling rules are listed here.
"""

from __future__ import annotations

from typing import Final


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


PRONOUNS: Final = {"i": "1sg", "you": "2sg", "we": "2sg", "they": "2sg", "he": "3sg", "she": "3sg", "it": "3sg"}
"""Subject pronoun → person of the grid; *we* and *they* take the same verb forms as *you*."""
PLURAL_PRONOUNS: Final = _set("we they")
INDEFINITES: Final = _set(
    "everybody everyone everything somebody someone something anybody anyone anything nobody nothing"
)
"""Pronouns that take the same verb forms as *he*."""
DEMONSTRATIVES: Final = {"this": "3sg", "that": "3sg", "these": "2sg", "those": "2sg"}

SINGULAR_DETERMINERS: Final = _set("a an every each another this that")
PLURAL_DETERMINERS: Final = _set(
    "these those both many several few two three four five six seven eight nine ten eleven twelve twenty all some most"
)
DETERMINERS: Final = SINGULAR_DETERMINERS | PLURAL_DETERMINERS | _set("the my your his her its our their no")

IRREGULAR_PLURALS: Final = _set(
    "children people men women feet teeth mice geese policemen firemen businessmen grandchildren cattle"
)
SINGULAR_IN_S: Final = _set(
    "news maths mathematics physics politics economics gymnastics athletics bus gas lens atlas canvas christmas boss "
    "class virus campus chorus circus cactus octopus tennis always perhaps mars paris"
)
"""Singular nouns that end in *s*; nouns in *ss*, *us* and *is* are singular by rule."""
COLLECTIVES: Final = _set(
    "police family team staff government crew couple committee crowd majority public audience band group press jury"
)
"""Nouns that take a singular or plural verb."""
INVARIANT: Final = _set(
    "sheep fish deer aircraft series species means data media criteria rich poor old young elderly homeless blind deaf "
    "unemployed english french spanish british irish dutch welsh chinese japanese portuguese"
)
"""Heads of noun phrases that may be singular or plural (*the sheep*, *the rich*, *the English*)."""
UNITS: Final = _set(
    "euros dollars pounds years months weeks days hours minutes seconds kilometres miles metres percent"
)
"""Units of amounts, which after a number may take a singular verb (*ten euros is enough*)."""
MANDATIVE: Final = _set(
    "suggest suggests suggested recommend recommends recommended insist insists insisted demand demands demanded "
    "require requires required important essential necessary"
)
"""Words after which *that* takes the base form."""
OBJECTS: Final = _set("me him her us them this that these those")
NAMES_IN_S: Final = _set(
    "james thomas chris luis carlos lucas marcus jonas andreas nicolas nicholas agnes iris doris charles francis jess "
    "alexis hans klaus lars niels jens matthias tobias matias elias silas phyllis gladys frances dennis curtis travis "
    "louis moses amos ines dolores mercedes lourdes jesus andres marcos mr mrs ms miss"
)

WILL: Final = _set("will 'll wo")
"""*wo* is the token before *n't* in *won't*."""
HAVE: Final = _set("have has 've")
DO: Final = _set("do does did")
MODALS: Final = _set("can could ca should would must may might shall sha ought 'd")
"""Helpers of tenses outside the grid; after *would* only *like to* is parsed."""
NOT: Final = _set("not n't")
BE: Final = _set("am is are was were be been being 'm 're")

HELPERS: Final = WILL | HAVE | DO | MODALS | NOT | BE
"""Words that may precede the subject of a question."""

MATRIX: Final = _set(
    "want wants wanted need needs needed hope hopes hoped plan plans planned try tries tried like likes liked have has "
    "had love loves loved decide decides decided learn learns learned start starts started prefer prefers preferred "
    "promise promises promised forget forgets forgot begin begins began expect expects expected agree agrees agreed"
)
"""Verbs that take *to* and an infinitive."""

ADVERBS: Final = _set(
    "always usually often never sometimes really also just already probably still soon now ever even only almost "
    "finally suddenly rarely seldom hardly both all once twice then certainly definitely actually maybe perhaps "
    "normally generally surely yet again very too quite so"
)
CONJUNCTIONS: Final = _set(
    "and but or so because when if while after before until although though since as whether unless that once "
    "where why how what whereas than nor yet then however therefore"
)
SUBORDINATE: Final = _set("when if while after before until although though since as unless once because")
ASKING: Final = _set("where why how what when who whom whose which")
"""Words that begin a question."""
PREPOSITIONS: Final = _set(
    "in on at to of from with without by for about into onto through over under between among near behind beside "
    "across along around against towards toward past up down off out inside outside during except like via per "
    "beyond upon within above below opposite despite"
)
REPORTING: Final = _set("think thinks thought know knows knew say says said believe believes guess suppose")
"""Verbs that a clause may follow without *that*: *I think the soldiers …*."""
LEADS: Final = _set(
    "yesterday today tomorrow tonight now then ago week weeks month months year years day days night nights morning "
    "mornings afternoon afternoons evening evenings weekend weekends noon midnight hour hours minute minutes spring "
    "summer autumn winter monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays "
    "thursdays fridays saturdays sundays january february march april may june july august september october november "
    "december later afterwards usually sometimes often soon far maybe perhaps luckily unfortunately "
    "fortunately suddenly finally first here there lunch breakfast dinner time moment christmas easter year once"
)
"""Words that may directly precede a subject: *two days ago my brother …*."""
CALENDAR: Final = _set(
    "monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays saturdays "
    "sundays january february march april may june july august september october november december"
)

FUNCTION_WORDS: Final = (
    frozenset(PRONOUNS)
    | frozenset(DEMONSTRATIVES)
    | INDEFINITES
    | DETERMINERS
    | WILL
    | HAVE
    | DO
    | MODALS
    | NOT
    | BE
    | ADVERBS
    | CONJUNCTIONS
    | ASKING
    | PREPOSITIONS
    | CALENDAR
    | _set(
        "me him us them mine yours hers ours theirs myself himself herself there here yes no ok okay please let lets "
        "hello hi hey oh today tomorrow yesterday tonight more less much had thanks thank well anyway meanwhile "
        "instead neither either such few others else welcome sorry ago later"
    )
)
"""Words that are neither nouns nor names."""

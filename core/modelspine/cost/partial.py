"""The partial queries of cost figures: what one set of requests adds to the sums, in the SQL of DuckDB.

Each row names an entry, whether it is of shadow copies, and the terms of the price, or has a key for all of these.
``meter`` merges the rows of many sets. Which requests count as what is decided here; what the sums mean is not.
"""

from __future__ import annotations

from typing import Final

from miniobserve.cost import BUSY, COPY, QUEUE, TOKENS, WAITING
from miniobserve.traces import GONE

_NS_PER_MINUTE: Final = 60 * 10**9

TERMS: Final = "price_version, priced_by, currency, rate_per_hour, workers, input_price, output_price"
"""The columns of ``meter.Terms``."""

# ``miniobserve.cost.share_of_rent`` in SQL, for prices by a share of busy seconds.
_OF_RENT: Final = "busy * rate_per_hour / (3600 * workers)"

_SPAN: Final = "FROM {rows} WHERE started_ns >= $since AND started_ns < $until"
_STAGES: Final = "coalesce(list_sum(map_values(stages)), 0.0) AS whole, cardinality(stages) > 0 AS has_stages"
_NO_STAGES: Final = "NULL::DOUBLE AS whole, NULL::BOOLEAN AS has_stages"


def _every() -> str:
    """Every request with its price.

    A map takes longer to read than all other columns together, so the stages are read of those requests alone whose
    price depends on them: of those that are priced by waiting, and of copies.

    A copy has no price of its own, as the rent is charged to answers that learners got. It counts with what it would
    have cost as an answer, at the rate on its trace. A stored price that is no amount of money is none.
    """
    plain = f"{_SPAN} AND shadow_of IS NULL AND priced_by IS DISTINCT FROM '{WAITING}'"
    parts = [
        f"{_NO_STAGES} {plain}",
        f"{_STAGES} {_SPAN} AND shadow_of IS NULL AND priced_by = '{WAITING}'",
        f"{_STAGES} {_SPAN} AND shadow_of IS NOT NULL",
    ]
    return f"""
        SELECT *, CASE WHEN amount >= 0 AND amount < 'Infinity'::DOUBLE THEN amount END AS price,
            amount IS NOT NULL AND NOT (amount >= 0 AND amount < 'Infinity'::DOUBLE) AS absurd
        FROM (
            SELECT *, shadow_of IS NOT NULL AS copy, input_tokens + output_tokens AS used,
                CASE WHEN shadow_of IS NULL OR cost IS NOT NULL OR unpriced <> '{COPY}' OR priced_by <> '{BUSY}'
                        OR rate_per_hour IS NULL THEN cost
                    WHEN has_stages THEN {_OF_RENT} END AS amount
            FROM (
                SELECT * REPLACE (CASE WHEN priced_by = '{BUSY}' THEN greatest(coalesce(workers, 1), 1) END AS workers),
                    workers IS NULL AND priced_by = '{BUSY}' AS workers_unknown
                FROM ({" UNION ALL BY NAME ".join(f"SELECT *, {part}" for part in parts)})
            )
        )"""


_PRICED: Final = f"SELECT * FROM ({_every()}) WHERE tester IS NULL AND entry_sha <> '' AND price IS NOT NULL"

_KEY: Final = f"hash(entry_sha, copy, {TERMS})"
"""An entry, whether of copies, and the terms, as 64 bits: a group by one number is faster than one by nine columns."""

_FIRST_TERMS: Final = ", ".join(f"first({name}) AS {name}" for name in TERMS.split(", "))

_KIND: Final = f"""CASE WHEN tester IS NOT NULL OR entry_sha = '' THEN 'apart' WHEN price IS NULL THEN 'unpriced'
    WHEN status >= 500 THEN 'failed' WHEN status = {GONE} THEN 'plain'
    WHEN NOT in_scope THEN 'outside' WHEN graded IS NOT NULL THEN 'graded'
    WHEN features_json <> '{{}}' THEN 'ungraded' ELSE 'plain' END"""

_READ: Final = "input_tokens * coalesce(input_price, 0)"
_WRITTEN: Final = "output_tokens * coalesce(output_price, 0)"

# What was paid for one kind of token, of a model that is billed by token.
_SHARE: Final = f"""CASE WHEN priced_by = '{TOKENS}' AND {_READ} + {_WRITTEN} > 0
    THEN price * ({{part}}) / ({_READ} + {_WRITTEN}) END"""

_WHY: Final = """CASE WHEN price IS NULL THEN CASE WHEN absurd THEN 'the price on its trace is no amount of money'
    WHEN unpriced = '' THEN 'its trace gives no reason' ELSE unpriced END END"""

QUERIES: Final = {
    # Reading and pricing take most of the time, so all that is counted by entry and terms is summed up in one pass.
    "sums by terms": f"""
        CREATE TEMP TABLE sums_by_terms AS
        SELECT key, first(entry_sha) AS entry_sha, first(copy) AS copy, {_FIRST_TERMS}, kind, of_tester, why, day,
            count(*) AS n, sum(used)::BIGINT AS used, sum(price) AS price, sum(busy) AS busy,
            count(*) FILTER (graded) AS correct, min(started_ns) AS first_ns, max(started_ns) AS last_ns,
            sum(CASE priced_by WHEN '{TOKENS}' THEN ({_READ} + {_WRITTEN}) / 1e6
                WHEN '{WAITING}' THEN whole * coalesce(rate_per_hour, 0) / 3600
                ELSE coalesce({_OF_RENT}, 0) END) AS explained,
            count(*) FILTER (workers_unknown) AS workers_unknown,
            coalesce(sum({_SHARE.format(part=_READ)}), 0.0) AS read,
            coalesce(sum({_SHARE.format(part=_WRITTEN)}), 0.0) AS written
        FROM (SELECT *, {_KEY} AS key, {_KIND} AS kind, tester IS NOT NULL AS of_tester, {_WHY} AS why,
                started_ns // {1440 * _NS_PER_MINUTE} AS day
            FROM ({_every()}))
        GROUP BY key, kind, of_tester, why, day""",
    "unpriced": """
        SELECT entry_sha, copy, why, sum(n)::BIGINT FROM sums_by_terms WHERE kind = 'unpriced'
        GROUP BY ALL ORDER BY ALL""",
    # What belongs to no entry's figures. A copy has no price, also where a tester asked.
    "apart": f"""
        SELECT entry_sha, of_tester, {TERMS}, day, sum(n)::BIGINT, coalesce(sum(price) FILTER (NOT copy), 0.0)
        FROM sums_by_terms WHERE kind = 'apart' GROUP BY ALL ORDER BY ALL""",
    # The key stands for the entry and the terms in the rows of the queries below.
    "sums": f"""
        SELECT key, entry_sha, copy, {TERMS}, kind, day, n, used, price, busy, correct, first_ns, last_ns, explained,
            workers_unknown, read, written
        FROM sums_by_terms WHERE kind NOT IN ('apart', 'unpriced') ORDER BY ALL""",
    "stages": f"""
        SELECT key, stage.key AS name, sum(price * stage.value / divisor)
        FROM (SELECT {_KEY} AS key, priced_by, price, unnest(map_entries(stages)) AS stage,
                CASE priced_by WHEN '{WAITING}' THEN whole ELSE busy END AS divisor
            FROM ({_PRICED}) WHERE priced_by <> '{TOKENS}')
        WHERE (stage.key <> '{QUEUE}' OR priced_by = '{WAITING}') AND divisor > 0
        GROUP BY ALL ORDER BY ALL""",
    "prices": f"""
        CREATE TEMP TABLE prices AS
        SELECT {_KEY} AS key, started_ns // {_NS_PER_MINUTE} AS minute, unit_number, used, price
        FROM ({_PRICED})""",
    "minutes": """
        SELECT key, minute, sum(used)::BIGINT, sum(price) FROM prices GROUP BY ALL ORDER BY ALL""",
    # Units are counted by their number of tokens: a variance needs no more, and there are few such numbers.
    "units": """
        SELECT key, used, count(*), sum(price), sum(price * price)
        FROM (SELECT key, sum(used)::BIGINT AS used, sum(price) AS price FROM prices GROUP BY key, unit_number)
        GROUP BY ALL ORDER BY ALL""",
}
"""Name → query, with the values ``since`` and ``until`` (UTC nanoseconds).

Two of them make a table that those after them read.
"""

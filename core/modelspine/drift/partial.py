"""The partial queries of a drift report: what one set of requests adds to its counts, in the SQL of DuckDB.

They count the values that traces recorded when they were made, and say which requests have values that other code
made. ``counting`` merges the rows of many sets. Which requests count is decided here; what the counts mean is not.
"""

from __future__ import annotations

from typing import Final

_OWN: Final = "FROM {rows} WHERE started_ns >= $since AND started_ns < $until AND tester IS NULL"
_ANSWERED: Final = "shadow_of IS NULL AND status < 500 AND entry_sha <> ''"
_FAILED: Final = "shadow_of IS NULL AND status >= 500 AND entry_sha <> ''"
_COUNTED: Final = f"{_OWN} AND {_ANSWERED}"
_RECORDED: Final = f"{_COUNTED} AND values_by = $code"

# A score has nearly as many values as there are requests. Four digits of it decide its bin and are few enough to count.
_NUMBER: Final = """CASE WHEN value = 0 OR (value = floor(value) AND abs(value) < 1e6) THEN value
    ELSE round(value, 3 - floor(log10(abs(value)))::INTEGER) END"""

SAMPLE: Final = 20_000
"""Rows of tokens from which the design effect is estimated."""

QUERIES: Final = {
    # Everything that is counted by the features, in one pass: there are few combinations, and many requests.
    "requests": f"""
        SELECT shadow_of IS NOT NULL AS copy, {_ANSWERED} AS answered, {_FAILED} AS failed, entry_sha,
            hash(entry_sha) AS entry, source = 'replay' AS replayed, in_scope, input IS NULL AS textless,
            values_by = $code AS recorded, first(features_json) AS features, graded, count(*), count(embedding),
            hash(features_json) AS alike
        {_OWN} GROUP BY copy, answered, failed, entry_sha, replayed, in_scope, textless, recorded, graded, alike
        ORDER BY ALL""",
    "testers": """
        SELECT count(*) FROM {rows} WHERE started_ns >= $since AND started_ns < $until AND tester IS NOT NULL
            AND shadow_of IS NULL""",
    # What is counted by unit, in one pass: reading the units takes longer than grouping by them.
    "counts by unit": f"""
        CREATE TEMP TABLE counts_by_unit AS
        SELECT hash(entry_sha) AS entry, unit_number AS asker, count(*) FILTER (wrong) AS failed,
            count(*) FILTER (NOT wrong AND has_unit) AS answered,
            count(*) FILTER (NOT wrong AND graded IS NOT NULL) AS n, count(*) FILTER (NOT wrong AND graded) AS k
        FROM (SELECT *, {_FAILED} AS wrong {_OWN} AND ({_ANSWERED} OR {_FAILED}))
        GROUP BY entry, asker""",
    "learners": """
        SELECT count(*), coalesce(max(n), 0)::BIGINT
        FROM (SELECT sum(answered) AS n FROM counts_by_unit WHERE answered > 0 GROUP BY asker)""",
    "units": """
        SELECT entry, n, failed, count(*), sum(k)::DOUBLE, sum(k * k)::DOUBLE FROM counts_by_unit
        WHERE n + failed > 0 GROUP BY ALL ORDER BY ALL""",
    "categories": f"""
        SELECT each.key, textless, each.value, count(*)
        FROM (SELECT unnest(map_entries(categories)) AS each, input IS NULL AS textless {_RECORDED})
        GROUP BY ALL ORDER BY ALL""",
    "numbers": f"""
        SELECT name, textless, {_NUMBER} AS number, count(*)
        FROM (
            SELECT each.key AS name, each.value AS value, textless
            FROM (SELECT unnest(map_entries(numbers)) AS each, input IS NULL AS textless {_RECORDED})
        ) WHERE isfinite(value) GROUP BY ALL ORDER BY ALL""",
    # A token with how often it was found, and how many rows begin with it: together these are all rows with tokens.
    "tokens": f"""
        SELECT name, textless, token, count(*), count(*) FILTER (place = 1)
        FROM (SELECT each.key AS name, textless, unnest(each.value) AS token,
                generate_subscripts(each.value, 1) AS place
            FROM (SELECT unnest(map_entries(tokens)) AS each, input IS NULL AS textless {_RECORDED}))
        GROUP BY ALL ORDER BY ALL""",
    "other code": f"""
        SELECT input, features_json AS features, accepted, in_scope, count(*)
        {_COUNTED} AND values_by <> $code GROUP BY ALL ORDER BY ALL""",
}
"""Name → query, with the values ``since`` and ``until`` (UTC nanoseconds), and ``code``: ``Trace.values_by``."""

SAMPLED: Final = {
    "rows of tokens": f"""
        SELECT name, hash(request_id) AS drawn, words
        FROM (
            SELECT request_id, each.key AS name, each.value AS words
            FROM (SELECT request_id, unnest(map_entries(tokens)) AS each {_RECORDED})
        ) WHERE len(words) > 0
        QUALIFY row_number() OVER (PARTITION BY name ORDER BY drawn, request_id) <= {SAMPLE}
        ORDER BY name, drawn, request_id""",
}
"""What only a reference needs: a sample of rows that is the same however the requests are divided."""

PARTS: Final = 1_000_000
VECTORS: Final = {
    "vectors": f"""
        SELECT hash(request_id) AS drawn, request_id, input IS NULL, CASE WHEN in_scope AND $made THEN input END,
            CASE WHEN in_scope AND NOT $made THEN embedding END
        {_COUNTED} AND hash(request_id) % {PARTS} < $parts ORDER BY drawn, request_id""",
}
"""What vectors are made of, or the vectors themselves, of ``parts`` of ``PARTS`` requests.

Also with ``made``: whether the workload makes them of the texts.
"""

RESIDUALS: Final = {
    "residuals": f"""
        SELECT n, count(*), sum(y), sum(y * y)
        FROM (
            SELECT count(*) FILTER (NOT wrong) + $weight * count(*) FILTER (wrong) AS n,
                coalesce(sum(graded::INTEGER - expected) FILTER (NOT wrong), 0.0)
                    - $weight * $rate * count(*) FILTER (wrong) AS y
            FROM (SELECT unit_number AS asker, graded, {_FAILED} AS wrong, hash(features_json) AS alike
                {_OWN} AND entry_sha = $entry AND ({_ANSWERED} AND graded IS NOT NULL OR {_FAILED}))
            LEFT JOIN (SELECT unnest($alike::UBIGINT[]) AS alike, unnest($rates::DOUBLE[]) AS expected) USING (alike)
            WHERE wrong OR expected IS NOT NULL
            GROUP BY asker
        ) GROUP BY ALL ORDER BY ALL""",
}
"""An entry's graded answers against the rate to expect of their features, and its failed requests as wrong ones.

Also with ``entry``; ``alike``, hashes of features, and their ``rates``; and of a failed request ``weight`` and
``rate``.
"""

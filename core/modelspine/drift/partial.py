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
_FEATURES: Final = "to_json(features)::VARCHAR"
_UNIT: Final = "hash(coalesce(unit_hash, retry_of, request_id))"
"""A learner; a request of nobody in particular is a unit of its own, together with its retries.

Grouping by 64 bits is twice as fast as by the text, and two of a million units meet in one of 10⁷ reports."""

# A score has nearly as many values as there are requests. Four digits of it decide its bin and are few enough to count.
_NUMBER: Final = """CASE WHEN value = 0 OR (value = floor(value) AND abs(value) < 1e6) THEN value
    ELSE round(value, 3 - floor(log10(abs(value)))::INTEGER) END"""

SAMPLE: Final = 20_000
"""Rows of tokens from which the design effect is estimated."""

QUERIES: Final = {
    # Everything that is counted by the features, in one pass: there are few combinations, and many requests. They are
    # grouped by their hash, so that not every request's have to be written as JSON.
    "requests": f"""
        SELECT * EXCLUDE (alike) REPLACE ({_FEATURES} AS features) FROM (
            SELECT shadow_of IS NOT NULL AS copy, {_ANSWERED} AS answered, {_FAILED} AS failed, entry_sha,
                source = 'replay' AS replayed, in_scope, input IS NULL AS textless, values_by = $code AS recorded,
                first(features) AS features, graded, count(*), count(embedding), hash(features) AS alike
            {_OWN} GROUP BY copy, answered, failed, entry_sha, replayed, in_scope, textless, recorded, graded, alike
        ) ORDER BY ALL""",
    "testers": """
        SELECT count(*) FROM {rows} WHERE started_ns >= $since AND started_ns < $until AND tester IS NOT NULL
            AND shadow_of IS NULL""",
    "learners": f"""
        SELECT count(*), coalesce(max(n), 0)
        FROM (SELECT count(*) AS n {_COUNTED} AND unit_hash IS NOT NULL GROUP BY hash(unit_hash))""",
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
    # Each row of tokens ends with one more that is NULL, whose count is that of the rows.
    "tokens": f"""
        SELECT name, textless, token, count(*)
        FROM (SELECT each.key AS name, textless, unnest(list_append(each.value, NULL)) AS token
            FROM (SELECT unnest(map_entries(tokens)) AS each, input IS NULL AS textless {_RECORDED})
            WHERE len(each.value) > 0)
        GROUP BY ALL ORDER BY ALL""",
    "units": f"""
        SELECT entry_sha, n, failed, count(*), sum(k)::DOUBLE, sum(k * k)::DOUBLE
        FROM (
            SELECT entry_sha, count(*) FILTER (NOT wrong) AS n, count(*) FILTER (wrong) AS failed,
                count(*) FILTER (NOT wrong AND graded) AS k
            FROM (SELECT entry_sha, graded, {_FAILED} AS wrong, {_UNIT} AS asker
                {_OWN} AND ({_ANSWERED} AND graded IS NOT NULL OR {_FAILED}))
            GROUP BY entry_sha, asker
        ) GROUP BY ALL ORDER BY ALL""",
    "other code": f"""
        SELECT input, {_FEATURES} AS features, accepted, in_scope, count(*)
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
            SELECT sum(weight) AS n, sum(residual) AS y
            FROM (
                SELECT {_UNIT} AS unit, 1::DOUBLE AS weight, graded::INTEGER - rate AS residual
                FROM (SELECT *, {_FEATURES} AS named {_COUNTED} AND graded IS NOT NULL AND entry_sha = $entry)
                JOIN (SELECT unnest($named::VARCHAR[]) AS named, unnest($rates::DOUBLE[]) AS rate) USING (named)
                UNION ALL
                SELECT {_UNIT}, $weight::DOUBLE, -($weight * $rate)::DOUBLE
                {_OWN} AND {_FAILED} AND entry_sha = $entry
            ) GROUP BY unit
        ) GROUP BY ALL ORDER BY ALL""",
}
"""An entry's graded answers against the rate to expect of their features, and its failed requests as wrong ones.

Also with ``entry``, ``named``, ``rates``; and ``weight`` and ``rate`` of a failed request.
"""

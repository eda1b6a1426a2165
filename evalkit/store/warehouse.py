"""What a SQL warehouse is asked of an experiment's traces in tables of Unity Catalog.

The names and columns are those that Databricks documents, of the view ``…_trace_unified`` that the
MLflow service maintains and of the spans in ``…_otel_spans``. What a span holds lies there as a map
of texts or as a VARIANT, by the form of the tables; as JSON both are the same.
"""

from __future__ import annotations

import os
import re

from evalkit.entities import RUN_TAG, SOURCE_RUN
from evalkit.errors import InputError, Problem, StoreError
from evalkit.jsonable import Json
from evalkit.store.databricks import Connection
from evalkit.store.forms import COST, TOKEN_USAGE
from evalkit.store.spans import INPUTS, KIND, OUTPUTS

WAREHOUSE = "MLFLOW_TRACING_SQL_WAREHOUSE_ID"
_TEXT, _SHOWN = 2_000, 8_000  # characters of a text that come out; up to which inputs do, whole


class Warehouse:
    """The SQL warehouse that the environment names, for the traces of one experiment.

    ``tables`` is what the names of their tables begin with: ``catalog.schema.prefix``, or
    ``catalog.schema`` for those of the older form.
    """

    most = 5_000
    """Rows that a query gives; with their texts below the 25 MiB that may come out inline."""

    def __init__(self, uri: str, tables: str) -> None:
        self.tables, profile = tables, uri.partition("://")[2]
        self._connection = Connection(**({"profile": profile} if profile else {}))

    def ask(self, query: str, **values: float) -> list[dict[str, Json]]:
        """The rows of ``routes``, ``tools``, ``errors``, ``judges``, ``people`` or ``sample``.

        Raises:
            InputError: no warehouse is named, or this one may not be used.
            StoreError: the tables are missing, or others than expected.
            DatabricksError: the workspace failed.
        """
        parts = [*self.tables.split("."), "mlflow_experiment_trace"][:3]
        if not all(re.fullmatch(r"[\w-]+", part) for part in parts):
            raise StoreError(f"{self.tables!r} is not what names of tables begin with")
        if not (warehouse_id := os.environ.get(WAREHOUSE, "")):
            fix = f"name one by --sql-warehouse-id, or {WAREHOUSE}"
            raise InputError(Problem("no SQL warehouse is named", fix=fix))
        begin = "`.`".join(parts)
        filled = {"unified": f"`{begin}_trace_unified`", "spans": f"`{begin}_otel_spans`"}
        bounds = {"place": self.tables, "text": _TEXT, "shown": _SHOWN, "most": self.most}
        statement = (_COMMON + _QUERIES[query]) % {**filled, **bounds, **values}
        return self._connection.query(warehouse_id, statement)


def _json(value: str, path: str) -> str:
    return f'get_json_object({value}, "$.{path}")'


def _held(name: str) -> str:
    """What a span holds under a name: a text as it is, anything else as JSON."""
    return f"""get_json_object(to_json(attributes), "$['{name}']")"""


def _holds(column: str) -> str:
    """Whether inputs or outputs hold something: with names of fields left out, no mere blanks."""
    values = f"""regexp_replace(coalesce({column}, ''), '"[^"]*" *:', '')"""
    return f"""NOT replace({values}, '[]', '') RLIKE '^([ {{}},]|null|"")*$'"""


def _count_of(sign: str) -> str:
    return f"length(plain) - length(replace(plain, '{sign}', ''))"


def _quantile(share: float, column: str) -> str:
    return f"percentile_cont({share}) WITHIN GROUP (ORDER BY {column})"


def _spread(column: str) -> str:
    quantiles = {"median": 0.5, "p90": 0.9, "p99": 0.99}
    shown = [f"{_quantile(q, column)} AS {column}_{name}" for name, q in quantiles.items()]
    totals = {"count": "count", "largest": "max", "total": "sum"}
    shown += [f"{function}({column}) AS {column}_{name}" for name, function in totals.items()]
    return ", ".join(shown)


_EXCEPTION = "to_json(filter(events, e -> e.name = 'exception'))"
_EXAMPLES = "max_by(trace_id, start_ms){0} AS newest, min_by(trace_id, start_ms){0} AS oldest"
_FEEDBACK, _EXPECTATION = "to_json(a.feedback)", "to_json(a.expectation)"
_METADATA = "v.trace_metadata['{}']".format

_COMMON = f"""
WITH roots AS (
  SELECT trace_id, name, start_time_unix_nano AS start_ns,
    {_held(INPUTS)} AS inputs, {_held(OUTPUTS)} AS outputs
  FROM %(spans)s WHERE coalesce(parent_span_id, '') = ''
), rooted AS (
  SELECT v.trace_id AS otel_id, concat('trace:/%(place)s/', v.trace_id) AS trace_id,
    CASE WHEN v.tags['{RUN_TAG}'] IS NULL OR {_METADATA(SOURCE_RUN)} IS NULL
      THEN coalesce(nullif(r.name, ''), 'unnamed')
      ELSE concat('run ', {_METADATA(SOURCE_RUN)}) END AS route,
    CASE v.state WHEN 'OK' THEN 'ok' WHEN 'ERROR' THEN 'failed' ELSE 'not over' END AS state,
    unix_millis(v.request_time) AS start_ms,
    floor(CAST(v.execution_duration_ms AS DOUBLE)) / 1000 AS seconds,
    CAST({_json(_METADATA(TOKEN_USAGE), "input_tokens")} AS DOUBLE)
      + CAST({_json(_METADATA(TOKEN_USAGE), "output_tokens")} AS DOUBLE) AS tokens,
    CAST({_json(_METADATA(COST), "total_cost")} AS DOUBLE) AS cost_usd,
    r.inputs, r.outputs, v.assessments, sha2(concat('trace:/%(place)s/', v.trace_id), 256) AS place,
    row_number() OVER (PARTITION BY v.trace_id ORDER BY r.start_ns) AS number
  FROM %(unified)s AS v JOIN roots AS r ON v.trace_id = r.trace_id
), worded AS (
  SELECT *, {_holds("inputs")} AS has_inputs, {_holds("outputs")} AS answered,
    regexp_replace(replace(replace(lower(inputs), '": ', '":'), ', "', ',"'), ' +', ' ') AS words
  FROM rooted WHERE number = 1
), numberless AS (
  SELECT *, regexp_replace(words, '[a-z0-9_]*[0-9][a-z0-9_]*', '#') AS plain FROM worded
), traces AS (
  SELECT *, md5(CASE WHEN {_count_of(" ")} - ({_count_of("#")}) >= 2 THEN plain ELSE words END)
    AS likeness FROM numberless
), said AS (
  SELECT trace_id, route, state, start_ms, has_inputs, answered, likeness, a.assessment_id,
    a.assessment_name AS name, a.source.source_type AS source_type, a.source.source_id AS source_id,
    CASE WHEN a.feedback IS NULL THEN 'expectation' ELSE 'feedback' END AS kind,
    left(coalesce({_json(_FEEDBACK, "value")}, {_json(_EXPECTATION, "value")},
      {_json(_EXPECTATION, "serialized_value.value")}), %(text)s) AS value,
    left(coalesce({_json(_FEEDBACK, "error.error_message")},
      {_json(_FEEDBACK, "error.error_code")}), %(text)s) AS error,
    left(a.rationale, %(text)s) AS rationale, unix_millis(a.create_time) AS time_ms
  FROM traces LATERAL VIEW explode(assessments) AS a
  WHERE coalesce(CAST(a.valid AS STRING), 'true') <> 'false'
), steps AS (
  SELECT trace_id AS otel_id, span_id, parent_span_id, name,
    replace({_held(KIND)}, '"', '') AS kind, right(status.code, 5) = 'ERROR' AS failed,
    (greatest(coalesce(end_time_unix_nano, 0), start_time_unix_nano) - start_time_unix_nano) / 1e9
      AS took,
    left(coalesce(nullif(status.message, ''), concat_ws(': ',
      get_json_object({_EXCEPTION}, "$[0].attributes['exception.type']"),
      get_json_object({_EXCEPTION}, "$[0].attributes['exception.message']"))), %(text)s) AS message
  FROM %(spans)s
)"""

_QUERIES = {
    "routes": f"""
SELECT route, count(*) AS traces, min(start_ms) AS first_ms, max(start_ms) AS last_ms,
  count_if(state = 'ok') AS ok, count_if(state = 'failed') AS failed,
  count_if(state = 'not over') AS not_over, count_if(NOT has_inputs) AS without_inputs,
  {_spread("seconds")}, {_spread("tokens")}, {_spread("cost_usd")}
FROM traces GROUP BY GROUPING SETS ((), (route)) ORDER BY traces DESC LIMIT %(most)s""",
    "tools": f"""
SELECT route, name AS tool, count(DISTINCT trace_id) AS traces, count(*) AS calls,
  count_if(failed) AS failures, {_quantile(0.5, "took")} AS median_s,
  {_quantile(0.9, "took")} AS p90_s, {_EXAMPLES.format(" FILTER (WHERE failed)")}
FROM steps JOIN traces ON steps.otel_id = traces.otel_id WHERE kind IN ('TOOL', 'RETRIEVER')
GROUP BY GROUPING SETS ((name), (route, name)) ORDER BY traces DESC LIMIT %(most)s""",
    "errors": f""", innermost AS (
  SELECT otel_id, name AS place, coalesce(message, '') AS text FROM steps AS s
  WHERE failed AND NOT EXISTS (SELECT 1 FROM steps AS below WHERE below.failed
    AND below.otel_id = s.otel_id AND below.parent_span_id = s.span_id)
), failures AS (
  SELECT * FROM innermost UNION ALL
  SELECT otel_id, '' AS place, left(coalesce(outputs, ''), %(text)s) AS text FROM traces AS t
  WHERE state = 'failed' AND NOT EXISTS (SELECT 1 FROM innermost AS i WHERE i.otel_id = t.otel_id)
), sets AS (
  SELECT otel_id, to_json(array_sort(collect_set(named_struct('place', place, 'text', text))))
    AS errors FROM failures GROUP BY otel_id
)
SELECT state, errors, count(*) AS traces, {_EXAMPLES.format("")}
FROM sets JOIN traces ON sets.otel_id = traces.otel_id
GROUP BY state, errors ORDER BY traces DESC LIMIT %(most)s""",
    "judges": f""", judged AS (
  SELECT name, concat_ws(' ', source_type, nullif(source_id, '')) AS source, value, trace_id,
    start_ms, error IS NOT NULL AS is_error FROM said
  WHERE source_type <> 'HUMAN' AND kind = 'feedback'
)
SELECT name, source, value, is_error, count(*) AS given, count(DISTINCT trace_id) AS traces,
  {_EXAMPLES.format("")}
FROM judged GROUP BY GROUPING SETS ((name, source), (name, source, value, is_error))
ORDER BY given DESC LIMIT %(most)s""",
    "people": """
SELECT trace_id, route, state, start_ms, has_inputs, answered, likeness, assessment_id, name,
  source_type, source_id, kind, value, error, rationale, time_ms
FROM said WHERE source_type = 'HUMAN' ORDER BY time_ms DESC LIMIT %(most)s""",
    "sample": """, waiting AS (
  SELECT *, row_number() OVER (PARTITION BY route, state, likeness ORDER BY place) AS again
  FROM traces AS t WHERE has_inputs AND (answered OR state = 'failed') AND NOT EXISTS (
    SELECT 1 FROM said AS s WHERE s.trace_id = t.trace_id AND s.source_type = 'HUMAN')
), turns AS (
  SELECT *, (row_number() OVER (PARTITION BY route, state ORDER BY again, place) - 1)
    / CASE state WHEN 'ok' THEN %(ok)s WHEN 'failed' THEN %(failed)s ELSE %(not_over)s END AS turn
  FROM waiting
)
SELECT trace_id, route, state, has_inputs, answered, likeness,
  CASE WHEN length(inputs) <= %(shown)s THEN inputs END AS inputs,
  CASE WHEN length(outputs) <= %(shown)s THEN outputs END AS outputs
FROM turns ORDER BY turn, again, place LIMIT %(rows)s""",
}

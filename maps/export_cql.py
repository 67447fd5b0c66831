"""CQL2 text into a condition of PostgreSQL: known columns only, every value a quoted literal.

The `cql2` library reads the text; what it reads is walked here, so nothing reaches SQL that this file does not
know. Comparisons, AND, OR, NOT, LIKE, BETWEEN, IN, IS NULL, arithmetic, CASEI, the spatial relations and the
temporal ones on moments (OGC 21-065r2) are understood.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import cql2
import orjson
from psycopg import sql

from grid.core.errors import BadInput

LONGEST_TEXT = 10_000
DEEPEST = 60
_COMPARISONS = {"=": "=", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_ARITHMETIC = {"+": "+", "-": "-", "*": "*", "/": "/", "%": "%", "div": "/"}
_SPATIAL = {
    f"s_{name}": f"st_{name}"
    for name in (
        *("intersects", "contains", "within", "disjoint"),
        *("equals", "touches", "crosses", "overlaps"),
    )
}
# Relations of two moments; of intervals only the second argument may be one (T_DURING, T_INTERSECTS).
_TEMPORAL = {"t_after": ">", "t_before": "<", "t_equals": "="}


def condition(written: str, columns: Collection[str], geometry: str = "geom") -> sql.Composable:
    """The condition that a CQL2 text states about `columns`.

    Raises BadInput `export.where_unreadable`, `export.where_unknown_property` (property, known),
    `export.where_unsupported` (part).
    """
    if len(written) > LONGEST_TEXT or "\x00" in written:
        raise BadInput("export.where_unreadable", field="where", problem=f"> {LONGEST_TEXT}")
    try:
        read: Any = cql2.parse_text(written).to_json()
    except Exception as error:  # the library's errors have no common class
        problem = " ".join(str(error).split())[:300]
        raise BadInput("export.where_unreadable", field="where", problem=problem) from error
    if not (isinstance(read, bool) or (isinstance(read, dict) and "op" in read)):
        raise BadInput("export.where_unsupported", field="where", part=written[:80])
    return _Walk(frozenset(columns), geometry).any(read, 0)


class _Walk:
    def __init__(self, columns: frozenset[str], geometry: str) -> None:
        self._columns, self._geometry = columns, geometry

    def any(self, node: Any, depth: int) -> sql.Composable:
        """One node of the tree as SQL, in brackets where it is an operation."""
        if depth > DEEPEST:
            raise _unsupported("…")
        if node is None:
            return sql.SQL("null")
        if isinstance(node, (bool, int, float, str)):
            return sql.Literal(node)
        if not isinstance(node, dict):
            raise _unsupported(node)
        if "property" in node:
            return self._property(str(node["property"]))
        for kind, cast in (("timestamp", "timestamptz"), ("date", "date")):
            if kind in node:
                return sql.SQL("{}::" + cast).format(sql.Literal(str(node[kind])))
        if _four_numbers(node.get("bbox")):
            numbers = sql.SQL(", ").join(sql.Literal(float(part)) for part in node["bbox"])
            return sql.SQL("st_makeenvelope({}, 4326)").format(numbers)
        if "type" in node and ("coordinates" in node or "geometries" in node):
            text = orjson.dumps(node).decode()
            return sql.SQL("st_setsrid(st_geomfromgeojson({}), 4326)").format(sql.Literal(text))
        if "op" in node:
            return self._operation(str(node["op"]).lower(), list(node.get("args") or ()), depth + 1)
        raise _unsupported(node)

    def _property(self, name: str) -> sql.Composable:
        if name not in self._columns and name != self._geometry:
            known = ", ".join(sorted(self._columns | {self._geometry}))
            raise BadInput(
                "export.where_unknown_property", field="where", property=name, known=known
            )
        return sql.Identifier("i", name)

    def _operation(self, op: str, args: list[Any], depth: int) -> sql.Composable:
        def part(node: Any) -> sql.Composable:
            return self.any(node, depth)

        if op in ("and", "or") and args:
            joined = sql.SQL(f" {op} ").join(part(node) for node in args)
            return sql.SQL("({})").format(joined)
        if op in _COMPARISONS | _ARITHMETIC and len(args) == 2:
            sign = (_COMPARISONS | _ARITHMETIC)[op]
            return sql.SQL("({} " + sign + " {})").format(part(args[0]), part(args[1]))
        if op == "between" and len(args) == 3:
            return sql.SQL("({} between {} and {})").format(*map(part, args))
        if op == "in" and len(args) == 2 and isinstance(args[1], list) and args[1]:
            return sql.SQL("({} in ({}))").format(
                part(args[0]), sql.SQL(", ").join(map(part, args[1]))
            )
        if op in _SPATIAL and len(args) == 2:
            return sql.SQL(_SPATIAL[op] + "({}, {})").format(part(args[0]), part(args[1]))
        if op in _TEMPORAL and len(args) == 2:
            return self._operation(_TEMPORAL[op], [_instant(arg) for arg in args], depth)
        if op in ("t_during", "t_intersects") and len(args) == 2 and "interval" in _keys(args[1]):
            return self._within(part(args[0]), args[1]["interval"], part)
        single = {"not": "(not {})", "isnull": "({} is null)", "casei": "lower({})", "-": "(- {})"}
        if op in single and len(args) == 1:
            return sql.SQL(single[op]).format(part(args[0]))
        if op == "like" and len(args) == 2:
            return sql.SQL("({} like {})").format(part(args[0]), part(args[1]))
        raise _unsupported(op)

    def _within(
        self, moment: sql.Composable, interval: list[Any], part: Callable[[Any], sql.Composable]
    ) -> sql.Composable:
        clauses: list[sql.Composable] = [
            sql.SQL("{} " + sign + " {}").format(moment, part(_instant(end)))
            for sign, end in zip((">=", "<="), interval, strict=True)
            if end != ".."
        ]
        return sql.SQL("({})").format(sql.SQL(" and ").join(clauses or [sql.SQL("true")]))


def _instant(node: Any) -> Any:
    return {"timestamp": node} if isinstance(node, str) else node


def _four_numbers(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(isinstance(n, (int, float)) for n in box)


def _keys(node: Any) -> Collection[str]:
    return node if isinstance(node, dict) else ()


def _unsupported(part: object) -> BadInput:
    return BadInput("export.where_unsupported", field="where", part=str(part)[:80])

"""Choose chips by the columns of the index: by year, and by an expression such as ``share_debris > 0.1``.

The expression is parsed and computed here, and never executed: pandas' own `DataFrame.query` runs attributes and calls
in an expression as Python code.
"""

import ast
import difflib
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError, few

if TYPE_CHECKING:
    import pandas as pd

Mask = NDArray[np.bool_]

# Enough for any condition that a person writes, and too short to exhaust the parser.
_LONGEST = 2000
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_WRITTEN = (
    "compare columns with numbers or quoted texts, and join comparisons with and, or, not: share_debris > 0.1 and year "
    "in [2010, 2012]"
)


def selected(index: "pd.DataFrame", *, years: int | Iterable[int] | None = None, where: str | None = None) -> Mask:
    """Return which chips fulfil all conditions that are given.

    Parameters
    ----------
    index : DataFrame
        The index, or some of its rows.
    years : int or iterable of int, optional
        Years of composites. A chip of any of them is chosen.
    where : str, optional
        A condition on columns of the index. It may hold names of columns, numbers, quoted texts, lists of these, the
        comparisons ``== != < <= > >= in`` and ``not in``, ``+ - * /``, ``and``, ``or``, ``not`` and parentheses.
        ``0.1 < share_debris < 0.5`` compares twice. A comparison with a missing value does not hold. The column
        `year_gap` is -1 where no outline has a date.

    Returns
    -------
    ndarray of bool
        (row,), in the order of `index`.

    Raises
    ------
    ConfigError
        A year is not a whole number or no chip of `index` has it, or the condition cannot be computed: it names a
        column that does not exist, compares a text with a number, or holds anything else, such as a call.
    """
    mask: Mask = np.ones(len(index), bool)
    if years is not None:
        mask &= np.isin(index["year"].to_numpy(np.int64), _years(index, years))
    if where is not None:
        mask &= _Condition(index, where).mask()
    return mask


def described(years: int | Iterable[int] | None, where: str | None) -> str:
    """Return the conditions as a user writes them, for messages; empty if none is given."""
    given = [f"{name}={value!r}" for name, value in (("years", years), ("where", where)) if value is not None]
    return ", ".join(given)


def _years(index: "pd.DataFrame", years: int | Iterable[int]) -> Sequence[int]:
    wanted = list(years) if isinstance(years, Iterable) and not isinstance(years, str) else [years]
    wrong = [year for year in wanted if isinstance(year, bool) or not isinstance(year, int | np.integer)]
    if wrong:
        raise ConfigError(
            f"{wrong[0]!r} is not a year",
            where=f"years={years!r}",
            fix="give whole numbers: years=2010 or years=[2010]",
        )
    known = sorted({int(year) for year in index["year"]})
    if unknown := sorted({int(year) for year in wanted} - set(known)):
        raise ConfigError(
            f"no chip shows the year {', '.join(map(str, unknown))}",
            where=f"years={years!r}",
            fix=f"these chips show {', '.join(map(str, known)) or 'no year, because there are none'}",
        )
    return [int(year) for year in wanted]


class _Condition:
    """One condition on the columns of a table."""

    def __init__(self, table: "pd.DataFrame", text: str) -> None:
        self._text = text
        # Shapes cannot be compared.
        self._columns = {str(name): table[name] for name in table.columns if name != "geometry"}
        self._n_rows = len(table)

    def mask(self) -> Mask:
        """Return where the condition holds, (row,)."""
        if not isinstance(self._text, str) or len(self._text) > _LONGEST:
            raise self._error(f"the condition is not a text of at most {_LONGEST} characters")
        try:
            return self._truth(ast.parse(self._text.strip(), mode="eval").body)
        except ConfigError:
            raise
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            what = "one = assigns a value: to compare, write ==" if self._assigns() else f"{error}"
            raise self._error(f"the condition cannot be read: {what}") from error

    def _assigns(self) -> bool:
        rest = self._text
        for pair in ("==", "!=", "<=", ">="):
            rest = rest.replace(pair, "")
        return "=" in rest

    def _truth(self, node: ast.expr) -> Mask:
        if isinstance(node, ast.BoolOp):
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            parts = [self._truth(part) for part in node.values]  # noqa: PD011  these are nodes
            return np.asarray(join.reduce(parts), bool)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert):
            return ~self._truth(node.operand)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
            # & and | bind more tightly than comparisons, so both sides have to be in parentheses, as in numpy.
            left, right = self._truth(node.left), self._truth(node.right)
            return left & right if isinstance(node.op, ast.BitAnd) else left | right
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            parts = [self._compared(*three) for three in zip(node.ops, sides[:-1], sides[1:], strict=True)]
            return np.asarray(np.logical_and.reduce(parts), bool)
        if isinstance(node, ast.Name) and self._column(node).dtype == bool:
            return self._column(node).to_numpy(bool)
        raise self._error(f"{self._shown(node)} is neither true nor false")

    def _compared(self, how: ast.cmpop, left: ast.expr, right: ast.expr) -> Mask:
        if isinstance(how, ast.In | ast.NotIn):
            return self._listed(left, right, is_in=isinstance(how, ast.In))
        if type(how) not in _COMPARISONS:
            raise self._error(
                f"{self._shown(left)} and {self._shown(right)} are compared with a word that is not known"
            )
        first, second = self._value(left), self._value(right)
        self._check_alike(first, second, left, right)
        return self._filled(_COMPARISONS[type(how)](first, second), first, second)

    def _listed(self, left: ast.expr, right: ast.expr, *, is_in: bool) -> Mask:
        if not isinstance(right, ast.List | ast.Tuple | ast.Set):
            raise self._error(f"{self._shown(right)} is not a list such as [2010, 2012]")
        found, value = np.zeros(self._n_rows, bool), self._value(left)
        for each in right.elts:
            one = self._value(each)
            self._check_alike(value, one, left, each)
            found |= self._filled(value == one, value, one)
        return found if is_in else self._filled(~found, value, value)

    def _filled(self, truth: Any, *sides: Any) -> Mask:
        """Return the result of a comparison as (row,), False where a side is missing."""
        import pandas as pd  # noqa: PLC0415  it takes long to import, and an index was read with it

        known = pd.array(np.atleast_1d(truth), dtype="boolean").to_numpy(bool, na_value=False)
        mask = np.array(np.broadcast_to(known, self._n_rows))
        for side in sides:
            mask &= ~np.broadcast_to(pd.isna(side), self._n_rows)
        return mask

    def _value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name):
            return self._column(node)
        if isinstance(node, ast.Constant) and type(node.value) in (int, float, str):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            number = self._number(node.operand)
            return -number if isinstance(node.op, ast.USub) else number
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            left, right = self._number(node.left), self._number(node.right)
            try:
                return _ARITHMETIC[type(node.op)](left, right)
            except ZeroDivisionError as error:
                raise self._error(f"{self._shown(node)} divides by zero") from error
        raise self._error(f"{self._shown(node)} is not a column, a number or a quoted text")

    def _number(self, node: ast.expr) -> Any:
        value = self._value(node)
        if _is_text(value):
            raise self._error(f"{self._shown(node)} is a text, with which nothing can be computed")
        return value

    def _column(self, node: ast.Name) -> "pd.Series":
        if node.id not in self._columns:
            near = difflib.get_close_matches(node.id, self._columns, n=1)
            guess = f" (did you mean {near[0]}?)" if near else ""
            raise ConfigError(
                f"the index has no column {node.id}{guess}",
                where=f"where={self._text!r}",
                fix=f"use one of {', '.join(self._columns)}; put texts in quotation marks",
            )
        return self._columns[node.id]

    def _check_alike(self, first: Any, second: Any, left: ast.expr, right: ast.expr) -> None:
        if _is_text(first) != _is_text(second):
            text, other = (left, right) if _is_text(first) else (right, left)
            raise self._error(f"{self._shown(text)} is a text and {self._shown(other)} is a number")

    def _shown(self, node: ast.expr) -> str:
        return few([ast.get_source_segment(self._text.strip(), node) or type(node).__name__])

    def _error(self, what: str) -> ConfigError:
        return ConfigError(what, where=f"where={self._text!r}", fix=_WRITTEN)


def _is_text(value: Any) -> bool:
    kind = getattr(value, "dtype", None)
    return isinstance(value, str) if kind is None else str(kind).startswith(("str", "object", "<U"))

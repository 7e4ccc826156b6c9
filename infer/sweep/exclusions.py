"""Exclusions of combinations of swept values, by expressions over the swept settings such as ``M>2 and ipc<5``."""

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any

from infer.config.checks import impossible
from infer.errors import UsageError

_KEY = "sweep.exclude"
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda value, several: value in several,
    ast.NotIn: lambda value, several: value not in several,
}
_LITERALS = {"true": True, "false": False, "null": None}
"""Values by the words that are typed for them in settings."""
_ALLOWED = "comparisons of swept settings with numbers, 'texts' and [lists], joined by and, or, not and parentheses"
_MOST_CHARACTERS = 1000
"""Largest number of characters of an expression; a longer one may be nested too deeply for Python."""


class Exclusion:
    """An expression that is true of the combinations to leave out."""

    def __init__(self, text: str, swept: Collection[str]) -> None:
        """Raises UsageError where ``text`` is not such an expression, or names a setting that is not in ``swept``."""
        self._text = text
        try:
            self._tree = ast.parse(text.strip() if len(text) <= _MOST_CHARACTERS else "", mode="eval").body
        except (SyntaxError, ValueError) as error:
            raise self._refusal(f"it is not an expression; write {_ALLOWED}") from error
        self._names = self._checked(self._tree, swept)

    def holds_for(self, values: Mapping[str, Any]) -> bool:
        """True if the combination ``values`` is to be left out.

        A combination without a value for a setting in the expression is kept. Raises UsageError where values cannot be
        compared.
        """
        if not self._names <= values.keys():
            return False
        try:
            return bool(self._value(self._tree, values))
        except TypeError as error:
            raise self._refusal(f"{error}") from error

    def _checked(self, node: ast.expr, swept: Collection[str]) -> set[str]:
        """The settings that ``node`` names. Raises UsageError for anything that is not allowed."""
        if (name := _name(node)) is not None:
            if name in _LITERALS:
                return set()
            several = ", ".join(swept) or "none"
            self._require(
                name in swept, f"{name} is not a swept setting; there are {several}, and text needs quotes: '{name}'"
            )
            return {name}
        if isinstance(node, ast.Constant):
            self._require(isinstance(node.value, int | float | str), f"write {_ALLOWED}")
            return set()
        match node:
            case ast.BoolOp(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
                pass
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=part):
                parts = [part]
            case ast.Compare(left=left, comparators=others, ops=ops) if all(type(op) in _COMPARISONS for op in ops):
                parts = [left, *others]
            case _:
                raise self._refusal(f"write {_ALLOWED}")
        return {name for part in parts for name in self._checked(part, swept)}

    def _value(self, node: ast.expr, values: Mapping[str, Any]) -> Any:
        if (name := _name(node)) is not None:
            return _LITERALS[name] if name in _LITERALS else values[name]
        match node:
            case ast.Constant(value=value):
                return value
            case ast.BoolOp(op=ast.And(), values=parts):
                return all(self._value(part, values) for part in parts)
            case ast.BoolOp(values=parts):
                return any(self._value(part, values) for part in parts)
            case ast.UnaryOp(op=ast.Not(), operand=part):
                return not self._value(part, values)
            case ast.UnaryOp(operand=part):
                return -self._value(part, values)
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [self._value(part, values) for part in parts]
            case ast.Compare(left=left, comparators=others, ops=ops):
                found = [self._value(part, values) for part in (left, *others)]
                pairs = zip(found, ops, found[1:], strict=False)
                return all(_COMPARISONS[type(op)](before, after) for before, op, after in pairs)
        raise AssertionError(f"{ast.dump(node)} was not refused")

    def _require(self, condition: bool, allowed: str) -> None:
        if not condition:
            raise self._refusal(allowed)

    def _refusal(self, allowed: str) -> UsageError:
        return impossible(_KEY, f'["{self._text}"]', allowed)


def _name(node: ast.expr) -> str | None:
    """The dotted name of ``node``, such as ``evaluate.lr``; None where it is not a name."""
    if isinstance(node, ast.Attribute):
        before = _name(node.value)
        return before and f"{before}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else None

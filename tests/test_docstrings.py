"""Docstrings open with the noun or verb that they are about."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for folder in ("infer", "tests") for path in (ROOT / folder).rglob("*.py"))
RIDDLES = {"Of", "What", "Whether", "How", "As", "It", "Where", "Which", "Who", "Whose", "Why", "When", "That", "Those"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_docstring_opens_with_a_riddle(path):
    assert [text for text in _docstrings(ast.parse(path.read_text())) if text.split()[0] in RIDDLES] == []


def _docstrings(tree: ast.Module) -> Iterator[str]:
    """The docstrings of modules, classes, functions and fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value

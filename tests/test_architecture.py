"""Imports of the package: none goes up in the list of layers in the docstring of ``infer``."""

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import infer

PACKAGE = Path(infer.__file__).parent
_LAYER = re.compile(r"^ {4}(?P<name>\w+)(?P<kind>/|\.py)(?P<star> \*)? +(?P<text>\S.*)$", re.MULTILINE)
_TORCH = {"torch", "torchvision", "timm"}


@dataclass(frozen=True)
class Import:
    """A module that a file imports, and the line where it does."""

    importer: str
    imported: str
    line: int
    runs_on_import: bool
    """False inside functions and under ``TYPE_CHECKING``."""


def layers() -> list[re.Match[str]]:
    """The layers of the docstring, from top to bottom."""
    return list(_LAYER.finditer(infer.__doc__ or ""))


def layer_of(module: str) -> str:
    """``infer.data.base`` is of the layer ``data``, ``infer.cli`` of ``cli``."""
    return module.split(".")[1]


@functools.cache
def modules() -> dict[str, Path]:
    """Files of the package by module, without ``infer/__init__.py``."""
    files = {path.relative_to(PACKAGE.parent).with_suffix(""): path for path in PACKAGE.rglob("*.py")}
    named = {".".join(module.parts).removesuffix(".__init__"): path for module, path in files.items()}
    return {name: path for name, path in named.items() if name != "infer"}


def imports_of(importer: str, tree: ast.AST, runs_on_import: bool = True) -> Iterator[Import]:
    """Every import in ``tree``, also those inside functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in _imported(node):
                yield Import(importer, name, node.lineno, runs_on_import)
        checks_types = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        is_deferred = checks_types or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports_of(importer, node, runs_on_import and not is_deferred)


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Full names; ``from infer.models import names`` is an import of ``infer.models.names``."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert node.level == 0 and node.module, "the package imports by full names"
    members = [f"{node.module}.{alias.name}" for alias in node.names]
    return [member if member in modules() else node.module for member in members]


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    """Every import of the package."""
    return [found for name, path in modules().items() for found in imports_of(name, ast.parse(path.read_text()))]


def test_the_layers_are_the_modules_and_folders_of_the_package():
    listed = [f"{layer['name']}{layer['kind']}" for layer in layers()]
    there = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    there |= {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    assert sorted(listed) == sorted(there)


def test_no_import_goes_up(imports):
    order = [layer["name"] for layer in layers()]
    up = [
        f"{found.importer}:{found.line} imports {found.imported}"
        for found in imports
        if found.imported.startswith("infer.")
        and order.index(layer_of(found.imported)) < order.index(layer_of(found.importer))
    ]
    assert not up, "\n".join(["imports of a layer above:", *sorted(up)])


def test_layers_with_a_star_are_imported_without_torch(imports):
    needed: dict[str, set[str]] = {name: set() for name in modules()}
    for found in imports:
        if found.runs_on_import:
            needed[found.importer].add(found.imported)
    starred = {layer["name"] for layer in layers() if layer["star"]}
    assert {"cli", "plots", "records", "config", "cluster"} <= starred
    paths = [_path_to_torch(name, needed) for name in modules() if layer_of(name) in starred]
    with_torch = [" -> ".join(path) for path in paths if path]
    assert not with_torch, "\n".join(["imports of torch:", *sorted(with_torch)])


def _path_to_torch(start: str, needed: dict[str, set[str]]) -> list[str]:
    """The chain of imports by which ``start`` loads torch; empty where it does not."""
    path_to = {start: [start]}
    to_visit = [start]
    while to_visit:
        module = to_visit.pop()
        for imported in needed.get(module, set()):
            if imported.split(".")[0] in _TORCH or imported == "safetensors.torch":
                return [*path_to[module], imported]
            parts = imported.split(".")
            for depth in range(2, len(parts) + 1):  # the packages above a module are imported with it
                name = ".".join(parts[:depth])
                if name in needed and name not in path_to:
                    path_to[name] = [*path_to[module], name]
                    to_visit.append(name)
    return []

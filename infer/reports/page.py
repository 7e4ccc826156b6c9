"""Rendering of HTML pages: Jinja2 templates that escape every word, with pictures inside the page."""

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from infer.tables import Report

_TEMPLATES = "templates"
_TYPES = {".png": "image/png", ".webp": "image/webp"}


def render(template: str, **values: Any) -> str:
    """The page that ``template`` makes of ``values``; strings in them are shown as they are, never as HTML."""
    environment = Environment(
        loader=PackageLoader("infer.reports", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"style": _source(environment, "report.css"), "script": _source(environment, "report.js")}
    return environment.get_template(template).render(**values)


def as_html(report: Report, title: str) -> str:
    """A page of a command's findings: its lines and tables under ``title``."""
    return render("findings.html.j2", report=report, title=title)


def picture(folder: Path, name: str, vectors: str, title: str) -> dict[str, str | None] | None:
    """The picture ``name`` (a PNG in a subfolder or none) for a template; None where there is none.

    The template links to its SVG and PDF in the subfolder ``vectors`` where they are.
    """
    png = folder / f"{name}.png"
    if not png.is_file():
        return None
    beside = f"{vectors}/{png.stem}"
    linked = beside if (folder / f"{beside}.pdf").is_file() else None
    return {"title": title, "uri": data_uri(png.read_bytes(), png.suffix), "vectors": linked}


def data_uri(content: bytes, suffix: str) -> str:
    """``content`` of a file with the ending ``suffix`` as a data URI."""
    return f"data:{_TYPES[suffix]};base64,{base64.b64encode(content).decode()}"


def _source(environment: Environment, name: str) -> Markup:
    """A file of the package that goes into the page as it is."""
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])

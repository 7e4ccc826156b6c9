"""Rendering of HTML pages from Jinja2 templates that escape all text, with embedded pictures."""

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from infer.tables import Report

_TEMPLATES = "templates"
_TYPES = {".png": "image/png", ".webp": "image/webp"}


def render(template: str, **values: Any) -> str:
    """The page of ``template`` with ``values``; strings in them are escaped, so they are never read as HTML."""
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
    """A page with the lines and tables of a command's ``report``, below ``title``."""
    return render("findings.html.j2", report=report, title=title)


def picture(folder: Path, name: str, vectors: str, title: str) -> dict[str, str | None] | None:
    """Values for a template that shows the PNG ``name``, which may contain a subfolder; None where there is no file.

    The template links to the SVG and PDF of the picture in the subfolder ``vectors``, if they exist.
    """
    png = folder / f"{name}.png"
    if not png.is_file():
        return None
    beside = f"{vectors}/{png.stem}"
    linked = beside if (folder / f"{beside}.pdf").is_file() else None
    return {"title": title, "uri": data_uri(png.read_bytes(), png.suffix), "vectors": linked}


def data_uri(content: bytes, suffix: str) -> str:
    """Data URI with the ``content`` of a file with the extension ``suffix``."""
    return f"data:{_TYPES[suffix]};base64,{base64.b64encode(content).decode()}"


def _source(environment: Environment, name: str) -> Markup:
    """Content of a file of the package, to be inserted into the page without escaping."""
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])

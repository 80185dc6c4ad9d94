"""The page as HTML: one file, everything escaped, nothing loaded, nothing unhashed."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from headwater.evaluation.verdicts import FAILS, HOLDS, TOO_FEW
from headwater.influence.ranking import three_digits
from headwater.report import TEMPLATES
from headwater.report.page.chunks import FOLDER, Chunks, file_of
from headwater.report.page.effects import NO_CONTROL
from headwater.report.page.glossary import GLOSSARY
from headwater.report.page.values import script_json
from headwater.report.visible import plain, visible

STATIC = Path(__file__).resolve().parents[1] / "static"
SCRIPT, STYLE = "report.js", "report.css"
SMALL = 1e-3  # of a change
MARKS = {HOLDS: "yes", FAILS: "no", TOO_FEW: "unclear", NO_CONTROL: "none"}


def render(
    template: str,
    report: Mapping[str, Any],
    columns: Chunks | None = None,
    **values: Any,
) -> str:
    """A whole page.

    Args:
        template: in `report/templates`.
        report: what the script reads.
        columns: of the rows, in the page and beside it.
        values: what the template names besides.

    Raises:
        ValueError: the script or the style could end its own element.
    """
    script, style = (_inline(name) for name in (SCRIPT, STYLE))
    beside = f" 'nonce-{columns.key}'" if columns and columns.beside else ""
    policy = (
        f"default-src 'none'; script-src '{content_hash(script)}'{beside}; "
        f"style-src '{content_hash(style)}'; img-src data:; worker-src blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(template)
        .render(
            report=report,
            json=Markup(script_json(report)),
            columns=columns.inside if columns else [],
            beside=columns.beside if columns else [],
            key=columns.key if columns else "",
            policy=policy,
            style=Markup(style),
            script=Markup(script),
            marks=MARKS,
            glossary=GLOSSARY,
            folder=FOLDER,
            **values,
        )
    )


def content_hash(text: str) -> str:
    """How a policy names an element by its content."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")


def _inline(name: str) -> str:
    """A file of the page's own, as it stands between its tags."""
    path = STATIC / name
    text = path.read_text("utf-8") if path.is_file() else ""
    low = text.lower()
    if "</script" in low or "</style" in low or "<!--" in low:
        raise ValueError(f"{path}: holds a tag that would end its element")
    return text


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        visible=visible,
        plain=plain,
        cell=cell,
        tidy=tidy,
        signed=signed,
        change=change,
        percent=percent,
        correlation=correlation,
        file_of=file_of,
    )
    return environment


def cell(value: Any) -> str:
    """A number as text: `three_digits`, none from 100 on, `–` for nothing."""
    if value is None:
        return "–"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if np.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else three_digits(value)


def tidy(value: Any) -> str:
    """As `cell`, but whole numbers have no decimals, whatever their type."""
    whole = isinstance(value, float) and value.is_integer()
    return cell(int(value)) if whole else cell(value)


def signed(value: float | None) -> str:
    """A change, with its sign."""
    return "–" if value is None else f"{value:+.3g}"


def change(value: float | None) -> str:
    """As `signed`, of a score or a loss: small ones to four decimals."""
    if value is None or value == 0 or abs(value) >= SMALL:
        return signed(value)
    return f"{value:+.4f}"


def percent(share: float | None) -> str:
    """A share with one decimal."""
    return "–" if share is None else f"{100 * share:.1f} %"


def correlation(value: float | None) -> str:
    """A correlation with three digits; what is below 1 never reads as 1."""
    return "–" if value is None else three_digits(value)

"""The figure of where the top rows come from, domain by domain."""

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headwater.heads.targets import Choice
from headwater.influence.ranking import TOP_FRACTION
from headwater.report import style, words
from headwater.report.visible import plain

DOMAIN_LINE = 0.46  # inches: two bars and a gap
TITLE_LETTERS = 40  # of a panel's title that fit


def draw(
    domains: Mapping[str, pd.DataFrame], choice: Choice, planted: str | None
) -> Figure:
    """For each target, every domain's share of the top rows and of the window.

    Domains from the most to the least enriched, by the first table; those without rows
    last.

    Args:
        planted: name of the generated domain, if there is one.
    """
    first = next(iter(domains.values()))
    ordered = first.sort_values(["enrichment", "domain"], ascending=[False, True])
    names = [str(name) for name in ordered["domain"]]
    columns = min(2, len(domains))
    lines = -(-len(domains) // columns)
    height = DOMAIN_LINE * len(names) + 1.15
    figure = Figure(figsize=(style.WIDTH, 1.4 + lines * height))
    style.heading(figure, *_words(names, planted))
    shares = pd.concat(table[["share", "share_top"]] for table in domains.values())
    highest = float(shares.max().max())
    width = (style.WIDTH - 0.3) / columns - 1.6
    for number, (name, table) in enumerate(domains.items()):
        line, column = divmod(number, columns)
        left = 1.45 + column * (width + 1.6)
        top = 1.8 + line * height
        axes = style.axes_at(figure, left, top, width, DOMAIN_LINE * len(names))
        _draw_target(axes, table.set_index("domain").reindex(names), highest, planted)
        title = f"Rows that help {choice.targets[name].name} ({name})"
        axes.set_title(title, fontsize=min(11, 11 * TITLE_LETTERS / len(title)))
    return figure


def _words(names: list[str], planted: str | None) -> tuple[str, str]:
    top = words.percent(TOP_FRACTION)
    text = (
        "MDA gives every training row of the window a score: how much it helps the "
        f"head. Blue: each domain's share of the {top} of rows with the highest "
        "scores. Grey: its share of all rows. In brackets, blue divided by grey: more "
        "than 1x means that the domain is enriched."
    )
    if planted in names:
        text += (
            f" '{planted}' is no real text: its rows are generated, and planted to "
            "make an induction head form. To find them is no discovery."
        )
    return f"Which domains do the top {top} of rows come from?", text


def _draw_target(
    axes: Axes, table: pd.DataFrame, highest: float, planted: str | None
) -> None:
    places = np.arange(len(table))
    axes.barh(places - 0.19, table["share_top"], 0.36, color=style.TOP_COLOUR)
    axes.barh(places + 0.19, table["share"], 0.36, color=style.ALL_COLOUR)
    for place, (_, line) in zip(places, table.iterrows(), strict=True):
        enrichment = line["enrichment"]
        known = np.isfinite(enrichment)
        factor = f"  ({words.factor(enrichment)})" if known else ""
        _write(axes, place - 0.19, line["share_top"], factor)
        _write(axes, place + 0.19, line["share"], "")
    axes.set_yticks(places, [_label(name, planted) for name in table.index])
    axes.tick_params(axis="y", length=0, labelcolor=style.INK, labelsize=10)
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set_xlim(0, 1.32 * highest)
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= 1])
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    axes.set_xlabel("share of the rows")
    axes.grid(visible=False, axis="y")


def _write(axes: Axes, place: float, share: float, factor: str) -> None:
    axes.annotate(
        f"{100 * share:.0f} %{factor}",
        (share, place),
        xytext=(4, 0),
        textcoords="offset points",
        color=style.INK if factor else style.FAINT,
        fontsize=9.5 if factor else 8.5,
        fontweight="bold" if factor else "normal",
        verticalalignment="center",
    )


def _label(name: str, planted: str | None) -> str:
    if name == planted:
        return f"{name}\n(generated)"
    return textwrap.fill(plain(name), 17, max_lines=2, placeholder="…")

"""Rows like one: those that share its runs of tokens."""

from collections import Counter

import numpy as np

RUN, MOST = 3, 20


def likeness(rows: np.ndarray, to: int) -> np.ndarray:
    """What the rows share of a row's runs, by weight; the row itself comes first."""
    starts = range(rows.shape[1] - RUN + 1)
    runs = [{tuple(row[at : at + RUN]) for at in starts} for row in rows]
    shared = [own & runs[to] for own in runs]
    count = Counter(run for own in shared for run in own)
    weight = {run: np.log((len(rows) + 1) / count[run]) for run in runs[to]}
    sums = np.array([sum(weight[run] for run in own) for own in shared])
    sums[to] = np.inf
    return sums


def test_rows_like_one_are_those_that_share_its_runs(plain_run, plain_file, look):
    page = look(plain_file).rows()
    page.page.click(".row-line >> nth=3")
    row = page.all("document.querySelector('[aria-expanded=true]').dataset.row")
    page.page.click("[data-testid=like]")
    page.page.locator("[data-testid=left]").filter(has_text=str(MOST)).wait_for()
    page.settle()
    first = plain_run.window.first
    wanted = likeness(plain_run.window.take(np.arange(160)), int(row) - first)
    page.page.wait_for_selector(f"[data-position='0'][data-row='{row}']")
    places = page.all(
        "[...document.querySelectorAll('[data-testid=list] [data-position]')]"
        ".map(line => Number(line.dataset.row))"
    )
    found = wanted[np.array(places) - first]
    least = np.sort(wanted)[-MOST]
    assert (found >= least - 1e-9).all()
    assert (np.diff(found) <= 1e-9).all()
    assert f"most like row {row}" in page.page.inner_text("[data-testid=status]")
    page.page.wait_for_function("() => location.hash.includes('like=')")
    again = look(plain_file).rows(page.all("location.hash"))
    again.page.locator("[data-testid=left]").filter(has_text=str(MOST)).wait_for()
    page.page.click("[data-testid=clear]")
    page.page.locator("[data-testid=left]").filter(has_text="160").wait_for()
    page.quiet()

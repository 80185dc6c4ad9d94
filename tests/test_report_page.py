"""The page: its sections, its numbers, and that nothing in it can act."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from headwater.interventions.kinds import KINDS
from headwater.report.page import provenance, render
from headwater.report.page.build import TESTED, build
from headwater.report.page.data import write_data
from headwater.report.page.effects import chips, few_seeds
from headwater.report.page.run import changed
from headwater.report.page.values import rounded, script_json
from headwater.report.visible import visible
from page_example import report_of, run_of

HOSTILE = "<script>window.canary=1</script><!--]]>{{7*7}}${x}\"'\x00\u202e\u2066é\ud800"


class Page(HTMLParser):
    """The tags and the text of a page, but for what stands in scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""
        self.inside = ""
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.inside = tag if tag in ("script", "style") else ""
        if self.inside:
            (self.scripts if tag == "script" else self.styles).append("")

    def handle_endtag(self, tag) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside == "style":
            self.styles[-1] += data
        else:
            self.text += data


@pytest.fixture(scope="module")
def run():
    return run_of()


@pytest.fixture(scope="module")
def page(run) -> str:
    return build(run).html


@pytest.fixture(scope="module")
def report(page) -> dict:
    return report_of(page)


def sections(page: str) -> list[str]:
    return re.findall(r'<section id="(\w+)"', page)


def test_a_run_with_arms_and_two_targets_has_every_section(page) -> None:
    assert sections(page) == [
        *("answer", "census", "causal", "effects", "specificity", "scores"),
        *("domains", "fidelity", "rows", "units", "run"),
    ]
    links = re.findall(r'<a href="#(\w+)">', page[: page.index("<main>")])
    assert links == sections(page)


def test_a_run_without_arms_has_no_test_and_says_so() -> None:
    page = build(run_of(shapes=None)).html
    assert not {*TESTED} & {*sections(page)}
    assert "No rows were removed or inserted in this run" in page
    report = report_of(page)
    assert report["curves"] is report["effects"] is report["specificity"] is None
    assert report["chips"] == []


def test_one_target_has_no_pair() -> None:
    page = build(run_of(targets=1)).html
    assert "units" not in sections(page)
    assert report_of(page)["pairs"] == []


def test_every_section_is_well_formed(page) -> None:
    class Nested(HTMLParser):
        open: list[str]

        def handle_starttag(self, tag, attrs) -> None:
            if tag not in ("meta", "br", "hr", "link", "img"):
                self.open.append(tag)

        def handle_endtag(self, tag) -> None:
            assert self.open.pop() == tag

    read = Nested()
    read.open = []
    read.feed(page)
    assert read.open == []


def test_the_answers_sentences_stand_in_the_page_with_their_limits(page) -> None:
    assert "Head L1H3 emerged" in page
    assert "What this does not show" in page
    assert "no verdict before 5 seeds" in page
    assert "Removing the top 10 % of rows" in page


# Numbers


def test_shares_of_domains_are_those_of_pandas(run, report) -> None:
    names = np.array(run.window.rows.domain_names)
    for place, ranking in enumerate(run.rankings):
        table = pd.DataFrame(
            {"domain": names[run.window.domains()], "score": ranking.scores}
        )
        share = table["domain"].value_counts(normalize=True)
        for tip, part in (("1", 0.01), ("5", 0.05), ("10", 0.1)):
            count = round(part * len(table))
            top = table.nlargest(count, "score")["domain"].value_counts(normalize=True)
            for line in report["enrichment"][place]:
                wanted = top.get(line["domain"], 0) / share[line["domain"]]
                assert line["top"][tip]["ratio"] == pytest.approx(wanted, rel=1e-4)
                assert line["rows"] == (table["domain"] == line["domain"]).sum()
        bottom = table.nsmallest(round(0.1 * len(table)), "score")["domain"]
        for line in report["enrichment"][place]:
            wanted = (bottom == line["domain"]).mean()
            assert line["bottom"]["share"] == pytest.approx(wanted, rel=1e-4)


def test_the_histogram_counts_every_row_once(run, report) -> None:
    for place, ranking in enumerate(run.rankings):
        found = report["scores"][place]["histogram"]
        edges = np.array(found["edges"])
        whole, _ = np.histogram(ranking.scores, edges)
        assert sum(found["counts"]["all"]) == len(ranking.scores)
        # Edges are rounded in the page, so that a row on one may change its bin.
        assert np.abs(whole - np.array(found["counts"]["all"])).sum() <= 4
        own = [np.array(found["counts"][str(n)]) for n in range(6)]
        np.testing.assert_array_equal(sum(own), found["counts"]["all"])


def test_top_rows_hold_the_share_that_sorting_gives(run, report) -> None:
    values = pd.Series(run.rankings[0].scores.astype(float))
    positive = values[values > 0]
    count = round(0.1 * len(values))
    wanted = values.nlargest(count).clip(lower=0).sum() / positive.sum()
    own = report["scores"][0]
    assert own["top_share"]["10"] == pytest.approx(wanted, rel=1e-4)
    assert own["positive"] == pytest.approx(len(positive) / len(values), rel=1e-4)
    loss = run.losses / run.length
    rank = spearmanr(loss, values).statistic
    assert own["loss_correlation"] == pytest.approx(rank, rel=1e-3)
    x, y = np.array(own["lorenz"]["positive"]).T
    assert (x[0], y[0], x[-1]) == (0, 0, 1)
    assert y[-1] == pytest.approx(1)
    assert (np.diff(y) >= 0).all()
    at = np.searchsorted(x, 0.25)
    held = values.nlargest(round(x[at] * len(values))).clip(lower=0).sum()
    assert y[at] == pytest.approx(held / positive.sum(), rel=1e-3)


@pytest.mark.parametrize(("tip", "told"), [((9, 2, 1.5), True), ((3, 2, 1.6), False)])
def test_an_outlier_is_told(tip, told) -> None:
    scores = np.linspace(-1, 1, 160)
    scores[:3] = tip
    found = report_of(build(run_of(scores=scores, targets=1)).html)
    outlier = found["scores"][0]["outlier"]
    assert (outlier is not None) == told
    if told:
        assert outlier == {"scores": [9, 2, 1.5], "times": 6}


def test_effects_are_the_lines_of_the_verdict_table(run, report) -> None:
    verdicts = run.tests.verdicts
    found = pd.DataFrame(report["effects"]["rows"])
    assert found["verdict"].tolist() == verdicts["verdict"].tolist()
    assert found["control"].tolist() == verdicts["control"].tolist()
    area = (verdicts["metric"] == "area").to_numpy()
    np.testing.assert_allclose(
        found.loc[area, "effect"], 100 * verdicts.loc[area, "effect"], rtol=1e-4
    )
    rest = found.loc[~area, "effect"].astype(float)
    np.testing.assert_allclose(rest, verdicts.loc[~area, "effect"], rtol=1e-4)


def test_a_missing_control_is_named_and_none_that_is_there(run, report) -> None:
    missing = {(line["arm"], line["control"]) for line in report["effects"]["missing"]}
    assert missing == {
        *(("remove_top", rival) for rival in ("loss", "repetition", "time")),
        *(("insert_top", r) for r in ("domain", "loss", "repetition", "time")),
    }
    named = [chip for chip in report["chips"] if chip["verdict"] == "no control"]
    assert {(chip["arm"], chip["control"]) for chip in named} == {
        ("remove_top", "loss, repetition, time"),
        ("insert_top", "domain, loss, repetition, time"),
    }
    assert all(chip["answer"] == "no control" for chip in named)


def test_chips_say_the_verdict_and_nothing_stronger(run) -> None:
    verdicts = run.tests.verdicts
    found = chips(verdicts, run.tests.arms, "induction")
    judged = [chip for chip in found if chip["verdict"] != "no control"]
    pairs = verdicts.groupby(["arm", "control"]).ngroups
    assert len(judged) == pairs
    for chip in judged:
        own = verdicts[
            (verdicts["arm"] == chip["arm"]) & (verdicts["control"] == chip["control"])
        ].set_index("metric")
        assert chip["verdict"] == own.at["area", "verdict"]
        told = f"probe {own.at['probe', 'effect']:+z.2f}"
        assert chip["answer"].endswith(told)
        assert "seeds" not in chip["answer"]  # said once, above
        assert chip["own"]
    assert few_seeds(verdicts) == "One seed: no verdict before 5."
    assert few_seeds(verdicts.assign(verdict="holds")) == ""
    five = verdicts.assign(verdict="holds", n=5, low=-0.5, high=-0.1)
    told = chips(five, run.tests.arms, "induction")[0]["answer"]
    assert "[-50, -10] points" in told or "[-50, -10]" in told
    assert "seeds" not in told


def test_curves_are_those_of_the_runs_tables(run, report) -> None:
    window = run.choice.window
    arms = [arm["name"] for arm in report["arms"]]
    assert arms == ["baseline", *run.tests.arms]
    for line in report["curves"]["runs"]:
        arm = arms[line["arm"]]
        name = "baseline" if arm == "baseline" else f"{arm}-seed{line['draw']}"
        table = run.tests.runs[name]
        own = table[
            (table["metric"] == "probe")
            & table["step"].between(window.start, window.end)
        ]
        assert line["steps"] == own["step"].tolist()
        np.testing.assert_allclose(line["values"]["probe"], own["value"], rtol=1e-4)
    assert len(report["curves"]["runs"]) == len(run.tests.runs)


def test_arms_are_coloured_by_the_one_table(report, run) -> None:
    for line in report["arms"][1:]:
        kind = KINDS[run.tests.arms[line["name"]]["rows"]]
        assert line["colour"] == kind.colours[line["action"]]
        assert line["control"] == (kind.role != "judged")
        assert re.fullmatch(r"#[0-9a-f]{6}", line["colour_dark"])


def test_specificity_is_the_mean_change_of_the_runs(run, report) -> None:
    table = run.tests.specificity
    own = report["specificity"]
    for place, arm in enumerate(own["arms"]):
        for head, value in zip(own["heads"], own["change"][place], strict=True):
            lines = table[
                (table["arm"] == arm)
                & (table["name"] == head)
                & (table["what"] == "final")
            ]["change"]
            if lines.empty:
                assert value is None
            else:
                assert value == pytest.approx(lines.mean(), rel=1e-4)
    random = table[
        table["arm"].isin(["remove_random", "insert_random"])
        & (table["name"] == "L1H1")
        & (table["what"] == "final")
    ]["change"]
    ends = own["random"][own["heads"].index("L1H1")]
    np.testing.assert_allclose(ends, [random.min(), random.max()], rtol=1e-4)


def test_two_targets_agree_as_pandas_says(run, report) -> None:
    one, other = (pd.Series(ranking.scores) for ranking in run.rankings)
    (pair,) = report["pairs"]
    wanted = one.corr(other, method="spearman")
    assert pair["spearman"] == pytest.approx(wanted, rel=1e-3, abs=1e-5)
    same = len({*one.nlargest(16).index} & {*other.nlargest(16).index}) / 16
    assert pair["overlap"]["10"] == pytest.approx(same)


def test_fidelity_has_the_sample_and_an_interval_round_its_correlation(report) -> None:
    for own in report["fidelity"]:
        assert len(own["row"]) == len(own["stored"]) == len(own["exact"]) == 54
        found = spearmanr(own["stored"], own["exact"]).statistic
        assert own["low"] <= found <= own["high"] <= 1


def test_numbers_are_short_and_missing_ones_null() -> None:
    assert rounded(1234567.89) == 1234600
    assert rounded(0.123456789) == 0.12346
    assert rounded(float("nan")) is rounded(float("inf")) is None
    assert rounded(np.float32(2.0)) == 2


# Safety


@pytest.fixture(scope="module")
def hostile() -> str:
    # What comes from files of UTF-8 has no lone surrogate; names in a store may.
    text = HOSTILE.replace("\ud800", "")
    names = [f"{text}{n}" for n in range(6)]
    run = run_of(texts=[text[:60]], domains=names)
    run.window.rows.sources[:] = [f"javascript:{HOSTILE}", HOSTILE]
    run.config["experiment"] = HOSTILE
    tests = run.tests
    verdicts = tests.verdicts.assign(unit=text)
    run = replace(run, tests=replace(tests, verdicts=verdicts))
    return build(run).html


def test_hostile_text_stays_text(hostile, page) -> None:
    hostile.encode("utf-8")  # no lone surrogate is left
    read = Page(hostile)
    # As many scripts as columns, the numbers and the page's own.
    assert len(read.scripts) == len(Page(page).scripts)
    assert "<script>window.canary=1</script>" in read.text
    assert "49" not in read.text[read.text.index("{{7*7}}") :][:9]
    unseen = {"\x00", "\u202e", "\u2066"}
    assert not unseen & {*hostile}
    assert r"\x00\u202e\u2066" in read.text


def test_nothing_is_loaded_and_no_handler_is_inline(hostile) -> None:
    read = Page(hostile)
    assert {"link", "img", "iframe", "object", "form", "base"}.isdisjoint(read.tags)
    for tag, name, value in read.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name not in ("src", "style", "srcset", "action"), (tag, name)
        if name == "href":
            assert value.startswith(("#", "data/")), value


def test_json_in_the_page_cannot_end_its_element() -> None:
    value = {"</script><!--": ["<", "\ud800", "\u2028"]}
    text = script_json(value)
    assert "<" not in text
    assert text.isascii()
    assert json.loads(text) == value


def test_the_policy_names_script_and_style_by_their_content(page) -> None:
    read = Page(page)
    policy = next(v for _, n, v in read.attributes if n == "content" and "default" in v)
    for text, kind in ((read.scripts[-1], "script"), (read.styles[0], "style")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


@pytest.mark.parametrize("text", ["x='</script>'", "a{}</STYLE>", "<!-- x"])
def test_a_script_that_would_end_its_element_is_refused(
    tmp_path, monkeypatch, text
) -> None:
    (tmp_path / "report.js").write_text(text)
    monkeypatch.setattr(render, "STATIC", tmp_path)
    with pytest.raises(ValueError, match="would end its element"):
        build(run_of(targets=1))


# What it is made of


def test_the_same_run_gives_the_same_bytes(page, tmp_path) -> None:
    run = run_of()
    again = build(run)
    assert again.html == page
    for name in ("one", "two"):
        write_data(tmp_path / name, run, again)
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_tables_beside_the_page_hold_its_numbers(run, report, tmp_path) -> None:
    write_data(tmp_path / "data", run, build(run))
    scores = pd.read_csv(tmp_path / "data/scores.tsv", sep="\t")
    assert len(scores) == report["rows"]["window"] == len(run.window)
    top = scores.nsmallest(5, "rank_induction")["score_induction"]
    np.testing.assert_allclose(top, scores["score_induction"].nlargest(5))
    lines = (tmp_path / "data/rows.jsonl").read_text().splitlines()
    assert len(lines) == report["rows"]["shown"]
    row = json.loads(lines[0])
    assert run.encoder.decode_many([np.array(row["input_ids"])]) == [row["text"]]
    domains = pd.read_csv(tmp_path / "data/domains.tsv", sep="\t")
    own = report["enrichment"][0][0]
    line = domains[(domains["domain"] == own["domain"]) & (domains["part"] == 10)]
    assert domains["part"].nunique() == 4 or len(line)


def test_the_page_is_made_without_torch(tmp_path) -> None:
    code = (
        "import sys; sys.path[:0] = ['scripts', 'tests']\n"
        "import headwater.report.page.build, headwater.report.page.data\n"
        "import headwater.report.page.inputs\n"
        "slow = {'torch', 'matplotlib', 'transformers', 'scipy.stats'}\n"
        "bad = slow & {*sys.modules}\n"
        "assert not bad, bad\n"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_keys_that_are_no_defaults_are_listed(run) -> None:
    found = {line["key"]: line for line in changed(run.config)}
    assert found["report.rows"] == {
        "key": "report.rows",
        "default": "2000",
        "value": "20",
    }
    assert found["training.steps"]["value"] == "2400"
    assert "training.betas" not in found
    assert "arms.remove_top.rows" in found


def git(folder: Path, *words: str) -> None:
    names = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *names, *words], cwd=folder, check=True, capture_output=True)


def test_the_commit_is_that_of_the_checkout(tmp_path) -> None:
    nothing = {"commit": "unknown", "changed": None, "files": []}
    assert provenance.commit(tmp_path) == nothing
    (tmp_path / ".git").mkdir()  # no repository
    assert provenance.commit(tmp_path) == nothing
    (tmp_path / ".git").rmdir()
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "a")
    found = provenance.commit(tmp_path)
    assert re.fullmatch("[0-9a-f]{40,64}", found["commit"])
    assert found["changed"] is False
    (tmp_path / "b").write_text("not tracked")
    assert provenance.commit(tmp_path)["changed"] is False
    (tmp_path / "a").write_text("2")
    assert provenance.commit(tmp_path)["changed"] is True
    assert provenance.commit(tmp_path)["files"] == ["a"]


def test_costs_are_summed_by_stage_without_the_reports_own(tmp_path) -> None:
    header = "s\th:m:s\tmax_rss\tcpu_time\n"
    for name, line in {
        "heads/a.tsv": "2.5\t0:00:02\t100\t2\n",
        "heads/b.tsv": "1.5\t0:00:01\t300\t-\n",
        "report/c.tsv": "9\t0:00:09\t900\t9\n",
    }.items():
        path = tmp_path / "benchmarks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(header + line)
    assert provenance.costs(tmp_path) == [
        {"stage": "heads", "jobs": 2, "seconds": 4, "cpu_seconds": 2, "most_mb": 300}
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(8.43e-07, "+0.0000"), (-9.75e-05, "-0.0001"), (0.0, "+0"), (-0.0204, "-0.0204")],
)
def test_small_changes_have_four_decimals(value: float, shown: str) -> None:
    assert render.change(value) == shown


def test_marks_of_white_space_are_no_part_of_the_text() -> None:
    text = "a\n\tb<c>\u202e"
    html = visible(text)
    assert html.striptags().count("\u21b5") == 0
    assert '<span class="mark lf">\n</span><span class="mark tab">\t</span>' in html
    assert '<span class="mark">\\u202e</span>' in html
    assert "mark" not in visible("a\nb\n", breaks=False)

"""Which library files a script runs."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from headwater import imports
from headwater.corpus.sources import unused_modules
from headwater.imports import PLUMBING, ROOT, script_digest, script_modules

SCRIPTS = sorted(path.stem for path in ROOT.glob("*.py"))


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A small library: write its files, then ask for the modules of `work.py`."""
    caches = (
        imports._closure,
        imports._imported_by,
        imports._file,
        imports._content,
    )
    for cached in caches:
        cached.cache_clear()
    monkeypatch.setattr(imports, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)

    def modules(work: str, **files: str) -> list[str]:
        for name, text in {"work": work, **files}.items():
            folder = "" if name == "work" else "headwater"
            path = tmp_path / folder / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return script_modules("work")

    yield modules
    for cached in caches:
        cached.cache_clear()


def test_imports_are_followed_to_the_end(library):
    found = library(
        work="from headwater.a import f\nimport numpy",
        a="import headwater.b.c",
        **{"b/c": "def late():\n    from headwater import d\n"},
        d="import os",
        unused="",
    )
    assert found == [
        "headwater/a.py",
        "headwater/b/c.py",
        "headwater/d.py",
        "work.py",
    ]


def test_every_form_of_import_counts(library):
    found = library(
        work=(
            "import headwater.a as short, headwater.b\n"
            "from headwater import c, d as other\n"
            "from headwater.e import f, number\n"
            "from headwater.g import *\n"
        ),
        **dict.fromkeys((*"abcdg", "e/f"), ""),
        **{"e/__init__": "number = 1"},
    )
    names = [*"abcd", "e/__init__", "e/f", "g"]
    assert found == [*(f"headwater/{name}.py" for name in names), "work.py"]


def test_a_package_that_finds_its_members_imports_them_all(library):
    members = "from headwater.members import load, names"
    found = library(
        work="from headwater.p import f\nfrom headwater import members",
        members="",
        **{"p/__init__": members, "p/a": "import headwater.b", "p/_own": "", "p/c": ""},
        **{"q/__init__": members, "q/d": ""},  # not imported
        b="",
    )
    names = ["b", "members", "p/__init__", "p/a", "p/c"]
    assert found == [*(f"headwater/{name}.py" for name in names), "work.py"]


def test_a_package_that_lists_its_members_imports_them_all(library):
    found = library(
        work="from headwater.a import names",
        members="",
        **{
            "a/__init__": "from headwater import members",
            "a/one": "from headwater import b",
            "a/two": "",
            "c/__init__": "",
            "c/three": "",
        },
        b="",
    )
    names = ["a/__init__", "a/one", "a/two", "b", "members"]
    assert found == [*(f"headwater/{name}.py" for name in names), "work.py"]


def test_a_module_that_only_uses_members_imports_no_neighbour(library):
    found = library(
        work="from headwater import a", a="import headwater.members", members="", b=""
    )
    assert found == ["headwater/a.py", "headwater/members.py", "work.py"]


def test_modules_that_import_each_other_end(library):
    found = library(
        work="import headwater.a",
        a="import headwater.b",
        b="import headwater.a",
    )
    assert found == ["headwater/a.py", "headwater/b.py", "work.py"]


def test_what_no_result_depends_on_is_left_out_with_what_it_imports(library):
    found = library(
        work="from headwater import job\nfrom headwater.a import f",
        a="from headwater.errors import HeadwaterError",
        job="import headwater.behind",
        errors="",
        behind="",
    )
    assert found == ["headwater/a.py", "work.py"]


def test_other_packages_of_a_like_name_are_left_out(library):
    found = library(
        work="import headwaters.a\nfrom headwater_tools import b\nimport numpy as a",
        a="",
    )
    assert found == ["work.py"]


def test_a_digest_is_of_content_and_not_of_time(library, tmp_path):
    library(work="from headwater import a, job", a="one = 1", job="")
    first = script_digest("work")
    os.utime(tmp_path / "headwater/a.py", (1, 1))
    imports._content.cache_clear()
    assert script_digest("work") == first
    library(work="from headwater import a, job", a="one = 1", job="edited = 1")
    assert script_digest("work") == first
    library(work="from headwater import a, job", a="one = 2", job="")
    imports._content.cache_clear()
    assert script_digest("work") != first


def test_a_digest_does_not_depend_on_the_working_directory(tmp_path, monkeypatch):
    first = script_digest("rank_rows")
    monkeypatch.chdir(tmp_path)
    assert script_digest("rank_rows") == first
    assert script_digest("build_arm") != first


def test_paths_are_relative_to_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = script_modules("rank_rows")
    assert all(not os.path.isabs(path) and Path(path).is_file() for path in found)
    monkeypatch.chdir(ROOT)
    assert "rank_rows.py" in script_modules("rank_rows")
    assert len(found) == len(script_modules("rank_rows"))


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_has_itself_and_no_plumbing(script, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = script_modules(script)
    assert f"{script}.py" in found
    assert found == sorted(set(found))
    plumbing = {name.replace(".", "/") + ".py" for name in PLUMBING}
    assert not plumbing & set(found)


@pytest.mark.parametrize(
    ("script", "needed", "not_needed"),
    [
        ("retrain_arm", "training/trainer", "influence/scores"),
        ("retrain_arm", "corpus/rows", "projection/store"),
        ("score_rows", "influence/scores", "interventions/arms"),
        ("row_gradients", "cross_entropy", "influence/scores"),
        ("probe_gradient", "probes/induction", "corpus/packing"),
        ("evaluate_arm", "probes/copying", "interventions/kinds"),
        ("solve_ihvp", "curvature/ekfac", "training/trainer"),
        ("fit_factors", "publish", "evaluation/effects"),
        ("order_rows", "corpus/sources/parquet", "net/remote"),
        ("tokenize_source", "corpus/packing", "corpus/sources/pile"),
    ],
)
def test_an_edit_concerns_the_scripts_that_run_it(
    monkeypatch, script, needed, not_needed
):
    monkeypatch.chdir(ROOT)
    found = script_modules(script)
    assert f"headwater/{needed}.py" in found
    assert (ROOT / "headwater" / f"{not_needed}.py").is_file()
    assert f"headwater/{not_needed}.py" not in found


def test_words_of_an_arm_do_not_train_again(monkeypatch):
    monkeypatch.chdir(ROOT)
    for script in ("train_baseline", "retrain_arm"):
        assert "headwater/interventions/kinds.py" not in script_modules(script)


def test_a_source_that_the_corpus_does_not_name_orders_nothing_again(monkeypatch):
    monkeypatch.chdir(ROOT)
    unused = unused_modules({"shards": ["a"], "held_out": {}})
    found = script_modules("order_rows", unused)
    assert "headwater/corpus/sources/pile.py" in found
    assert not any("pythia" in path or "batches" in path for path in found)
    assert not any(path.startswith("headwater/net/remote") for path in found)
    assert "headwater/corpus/batches.py" in script_modules("order_rows")


def test_plumbing_names_modules_that_exist():
    for name in PLUMBING:
        path = ROOT.joinpath(*name.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


LOADED = """
import json, runpy, sys
try:
    runpy.run_path(sys.argv[1])
except NameError as error:
    assert "snakemake" in str(error)
print(json.dumps({n: getattr(m, "__file__", None) for n, m in sys.modules.items()}))
"""


def loaded_by(script: str) -> dict[str, str]:
    """The modules, with their files, that Python has loaded when `main` begins."""
    result = subprocess.run(
        [sys.executable, "-c", LOADED, ROOT / f"{script}.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout)


@pytest.mark.parametrize("script", ["tokenize_source", "evaluate_arm"])
def test_the_modules_are_those_that_python_loads(script):
    """What is loaded and not listed is plumbing or has no code."""
    path, found = ROOT / f"{script}.py", loaded_by(script)
    loaded = {Path(f) for name, f in found.items() if name.startswith("headwater.")}
    listed = {Path(name).resolve() for name in script_modules(script)} - {path}
    assert listed <= loaded
    assert len(listed) > 4
    for extra in loaded - listed:
        name = ".".join(extra.relative_to(ROOT).with_suffix("").parts)
        plumbing = any(f"{name}.".startswith(f"{p}.") for p in PLUMBING)
        assert plumbing or not code_of(extra), f"{name} is missing"


def code_of(path: Path) -> list[ast.stmt]:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return [node for node in body if not isinstance(node, ast.Expr)]


# What a script imports before its work begins, of packages that are slow to import;
# the rest is imported by the functions that use it. `transformers` is never here.
HEAVY = {"torch", "transformers", "pandas", "pyarrow", "datasets", "matplotlib"}
HEAVY |= {"zarr", "h5py", "huggingface_hub", "scipy"}
STORED = "torch zarr h5py"
FIGURE = "pandas matplotlib"  # all that a new figure needs
IMPORTED = {
    "ask": "",
    "build_arm": "zarr h5py",
    "check_linearity": "torch zarr pandas",
    "check_fidelity": f"{STORED} pandas",
    "compare": "",
    "compare_removals": "pandas",
    "compare_rows": "pandas",
    "compare_targets": "pandas zarr h5py",
    "compare_variants": f"{STORED} pandas",
    "describe_catalysts": "pandas scipy zarr h5py",
    "differentiate": "torch zarr",
    "evaluate_arm": "torch zarr pandas",
    "examine": "pandas zarr h5py",
    "export": "",
    "fetch_checkpoint": "torch huggingface_hub",
    "fetch_rows": "",
    "fetch_text": "",
    "fetch_tokenizer": "",
    "find_motifs": "scipy zarr h5py",
    "fit_factors": STORED,
    "generate": "",
    "hold_out": "zarr",
    "judge_arms": "pandas",
    "judge_scores": "",
    "league": "",
    "measure_effects": "pandas",
    "measure_features": "zarr",
    "measure_gradients": STORED,
    "measure_tokens": STORED,
    "measure_lds": "pandas scipy zarr h5py",
    "measure_lexical": "torch zarr",
    "measure_text": "",
    "order_rows": "zarr",
    "plan": "",
    "plot_figures": f"{FIGURE} zarr h5py",
    "propose": "",
    "probe_gradient": STORED,
    "rank_rows": "pandas zarr h5py",
    "retrain_arm": "",
    "row_gradients": STORED,
    "score": "",
    "rows": "",
    "score_heads": "torch zarr pandas",
    "score_rows": STORED,
    "score_variants": f"{STORED} pandas",
    "score_tokens": STORED,
    "select_target": "pandas",
    "select_window": "pandas",
    "shell": "",
    "smooth_metagradient": "torch zarr",
    "solve_ihvp": STORED,
    "status": "",
    "stream_scores": STORED,
    "study": f"{FIGURE} zarr h5py scipy",
    "tokenize_source": "zarr",
    "train_baseline": "",
    "train_tokenizer": "",
    "write_report": "pandas zarr h5py scipy",
    "write_summary": "pandas",
}


def run_at_once(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run when a module does: not those of functions or for mypy."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from run_at_once(ast.Module(child.orelse, []))
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from run_at_once(child)


@cache
def imported_at_once(path: Path) -> frozenset[str]:
    """Names of the modules that a file imports when it is imported, as far as known."""
    names = set()
    for node in run_at_once(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif node.module:
            names |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
    return frozenset(names)


def heavy(script: str) -> set[str]:
    """The slow packages that a script or its library imports at once."""
    found, waiting, seen = set(), [ROOT / f"{script}.py"], set()
    while waiting:
        path = waiting.pop()
        for name in imported_at_once(path) - seen:
            seen.add(name)
            top, *rest = name.split(".")
            if top == "headwater":
                places = [ROOT.joinpath(top, *rest[:i]) for i in range(len(rest) + 1)]
                files = [
                    f for p in places for f in (p / "__init__.py", Path(f"{p}.py"))
                ]
                waiting += [file for file in files if file.is_file()]
            elif top in HEAVY:
                found.add(top)
    return found


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_job_imports_what_it_uses(script):
    assert heavy(script) == set(IMPORTED.get(script, FIGURE).split())


@pytest.mark.parametrize("script", ["train_baseline", "select_target", "order_rows"])
def test_python_loads_no_more_than_that(script):
    loaded = {name.split(".")[0] for name in loaded_by(script)} & HEAVY
    assert loaded - {"pyarrow"} == set(
        IMPORTED[script].split()
    )  # pandas brings pyarrow


def test_every_script_of_the_table_is_there():
    assert IMPORTED.keys() <= set(SCRIPTS)

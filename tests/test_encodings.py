"""Text is UTF-8 in any locale, and what a console cannot show is escaped."""

import ast
import os
import subprocess
import sys

import pytest

from clone import REPOSITORY, make_clone, run

SOURCES = [*REPOSITORY.glob("scripts/**/*.py"), *REPOSITORY.glob("benchmarks/*.py")]
# Parsed by Snakemake, which opens them in the locale's encoding.
PARSED = sorted(
    path
    for name in ("rules", "workflow", "profiles")
    for path in (REPOSITORY / name).rglob("*")
    if path.suffix in (".smk", ".yaml") or path.name == "Snakefile"
)
ASCII = {
    **os.environ,
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
}
# Calls that read or write text, and how many arguments they have with an encoding.
TEXT = {"read_text": 1, "write_text": 2, "TextIOWrapper": 2, "FileHandler": 3}
FILES = ("open", "TemporaryFile", "NamedTemporaryFile", "fdopen")


def is_text(call: ast.Call) -> bool:
    """Whether a call reads or writes text, in a file or of a program."""
    function = call.func
    method = isinstance(function, ast.Attribute)
    name = function.attr if method else getattr(function, "id", "")
    inner = [node.value for node in ast.walk(call) if isinstance(node, ast.Constant)]
    modes = [value for value in inner if isinstance(value, str)]
    if name in FILES:
        ours = method and call.args and not isinstance(call.args[0], ast.Constant)
        binary = any("b" in mode for mode in modes) or (name != "open" and not modes)
        return not ours and not binary
    if name in TEXT:  # `write_text` alone is that of headwater.publish
        return method and len(call.args) < TEXT[name]
    return any(
        word.arg in ("text", "universal_newlines")
        and isinstance(word.value, ast.Constant)
        for word in call.keywords
    )


def without_encoding(source: str) -> list[int]:
    """Lines of the calls that leave the encoding to the locale."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and is_text(node)
        and not any(word.arg == "encoding" for word in node.keywords)
    ]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("path.read_text()", [1]),
        ("path.open()", [1]),
        ("path.open('a+')", [1]),
        ("open(path, 'w')", [1]),
        ("subprocess.run(command, text=True)", [1]),
        ("TemporaryFile('w+')", [1]),
        ("path.read_text('utf-8')", []),
        ("path.open('rb')", []),
        ("path.write_text(text, encoding='utf-8')", []),
        ("TemporaryFile()", []),
    ],
)
def test_calls_that_leave_the_encoding_open_are_seen(source, found):
    assert without_encoding(source) == found


def test_no_text_is_in_the_locales_encoding():
    found = {path: without_encoding(path.read_text("utf-8")) for path in SOURCES}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_what_snakemake_parses_is_ascii():
    assert [path for path in PARSED if not path.read_bytes().isascii()] == []


def python(code: str, *arguments: str, **environment: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**ASCII, "PYTHONPATH": str(REPOSITORY / "scripts"), **environment},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return done.stdout, done.stderr


SAY = """
import os, sys
from pathlib import Path
from headwater.logs import configure_logging, logger
configure_logging(Path(sys.argv[1]))
print("3 \\u00b7 \\u00e9 \\u2192", os.fsdecode(b"\\xff"))
logger.info("%s", "3 \\u00b7 " + os.fsdecode(b"\\xff"))
"""


@pytest.mark.parametrize("encoding", ["ascii", "euc-jp", "iso-8859-1", "utf-8"])
def test_what_cannot_be_shown_is_escaped(tmp_path, encoding):
    said, logged = python(SAY, str(tmp_path / "log"), PYTHONIOENCODING=encoding)
    assert said.startswith("3 ")
    assert "\\udcff" in said
    assert "Traceback" not in logged
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert log.endswith("3 \u00b7 \\udcff\n")


CHECK = """
import sys
from headwater.config import files
for problem in files.locale_problems({"corpus": {"shards": ["a", "k\\u00fcche"]}}):
    print(problem)
"""


def test_a_name_that_the_locale_cannot_have_is_one_line():
    said, _ = python(CHECK, PYTHONIOENCODING="utf-8")
    assert said == (
        'corpus.shards[1]: "k\u00fcche" cannot be a file\'s name here (ascii); set '
        "PYTHONUTF8=1 in the environment\n"
    )
    assert python(CHECK, PYTHONUTF8="1") == ("", "")


@pytest.mark.workflow
def test_the_workflow_is_planned_in_any_locale(tmp_path, monkeypatch):
    clone = make_clone(tmp_path)
    for name in ("LC_ALL", "PYTHONUTF8", "PYTHONCOERCECLOCALE"):
        monkeypatch.setenv(name, ASCII[name])
    done = run(clone, "-n", "-q")
    assert done.returncode == 0, done.stdout
    config = (clone / "config/smoke.yaml").read_text(encoding="utf-8")
    odd = config.replace("resources/corpus", "resources/k\u00fcche")
    (clone / "config/smoke.yaml").write_text(odd, encoding="utf-8")
    done = run(clone, "-n", "-q")
    assert done.returncode == 1
    assert "PYTHONUTF8=1" in done.stdout
    assert "Traceback" not in done.stdout

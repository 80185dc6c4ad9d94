"""What is mistyped on a command line: one line, and an exit code."""

import pytest

from headwater.imports import ROOT
from headwater.options import Options


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dampign", "5"], '--dampign 5; did you mean "--damping"?'),
        (["--dampign=5"], '--dampign=5; did you mean "--damping"?'),
        (["--zzz"], "unrecognized arguments: --zzz; --help names what there is"),
        (["extra"], "unrecognized arguments: extra; --help names what there is"),
        (["--damping", "many"], "invalid float value: 'many'; --help names"),
        (["--damping"], "expected one argument; --help names what there is"),
        (["--a\nb"], r"--a\nb"),
    ],
)
def test_errors_are_one_line(words, said, capsys) -> None:
    parser = Options()
    parser.add_argument("--damping", type=float)
    parser.add_argument("--data")
    with pytest.raises(SystemExit) as end:
        parser.parse_args(words)
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert said in told
    assert told.count("\n") == 1


def test_every_command_has_such_a_parser() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in ROOT.glob("*.py")}
    plain = [path.name for path, text in texts.items() if "ArgumentParser(" in text]
    assert plain == []
    assert sum("Options(" in text for text in texts.values()) >= 10

"""docs/library.md names all that the library has, and nothing that it has not."""

import re

from clone import REPOSITORY
from headwater.library.run import Run
from headwater.library.study import Study
from headwater.library.unit import TracedUnit

PAGE = (REPOSITORY / "docs/library.md").read_text("utf-8")


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_the_page_names_every_method_and_no_other():
    unit = public(TracedUnit) | {"label", "word", "size", "heads"}
    every = {"run": public(Run), "study": public(Study), "unit": unit}
    for name, known in every.items():
        assert set(re.findall(rf"\b{name}\.(\w+)", PAGE)) == known, name


def test_every_public_method_tells_what_it_gives():
    for kind in (Run, Study, TracedUnit):
        for name in public(kind):
            assert getattr(kind, name).__doc__, name

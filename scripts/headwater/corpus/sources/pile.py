"""Text in the Pile's format: `.jsonl.zst` files, folders of them, addresses."""

import os
import re
from pathlib import Path
from typing import Any

from headwater.corpus.files import TEXT_NAME, TEXT_SUFFIX, listed, problem_of
from headwater.corpus.needs import RowNeeds
from headwater.corpus.sources.base import Piece, Section, Source
from headwater.net.places import base_name, is_remote
from headwater.problems import Key, Problem

# Names of files of text become file names and Snakemake wildcards. `.part` is what an
# unfinished result is called (headwater.publish).
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LONGEST = 150


class Pile(Source):
    """`corpus.shards`, or `corpus.held_out.shards` beside a source of token ids."""

    key = "shards"

    def gives_rows(self, section: Section) -> bool:
        """It is text."""
        return False

    def files(self, section: Section, base: Path) -> dict[str, Piece]:
        """By name, sorted: `resources/corpus/prose.jsonl.zst` is `prose`."""
        files = [file for _, file in listed(section[self.key], base, TEXT_SUFFIX)]
        return {
            _name(file): Piece(origin=file) if is_remote(file) else Piece((file,))
            for file in sorted(files, key=_name)
        }

    def problems(self, section: Section, where: Key, base: Path) -> list[Problem]:
        """Files that are missing, of another kind, or of one name."""
        problems: list[Problem] = []
        first: dict[str, str] = {}
        for number, file in listed(section[self.key], base, TEXT_SUFFIX):
            text = problem_of(file, base, TEXT_SUFFIX) or _name_problem(_name(file))
            if not text and _name(file) in first:
                text = _second_problem(first[_name(file)], file, base)
            if text:
                problems.append(
                    Problem((*where, self.key, number), f'"{file}": {text}')
                )
            else:
                first[_name(file)] = file
        return problems

    def fetch(
        self, target: Path, name: str, origin: Any, needs: RowNeeds | None
    ) -> None:
        """A file from its address, with the record of where it came from."""
        from headwater.net.fetching import fetch_ranges, write_record
        from headwater.net.remote import open_remote
        from headwater.publish import publish_folder

        file = open_remote(origin)
        identity = {"part": "fetched shard", **file.identity}
        with publish_folder(target, identity) as folder:
            parts = [(file, range(file.size))]
            records = fetch_ranges(folder / TEXT_NAME, parts, base_name(origin))
            write_record(folder, records)


SOURCE = Pile()


def _name(file: str) -> str:
    return base_name(file).removesuffix(TEXT_SUFFIX)


def _name_problem(name: str) -> str | None:
    if not _NAME.fullmatch(name):
        return 'use only letters, digits, ".", "_" and "-" in its name'
    if name.endswith((".part", ".part.json")):
        return 'a name before ".jsonl.zst" must not end in ".part"; rename it'
    if len(name) > _LONGEST:
        return f"a name of {len(name)} characters, at most {_LONGEST} can be; rename it"
    return None


def _second_problem(first: str, second: str, base: Path) -> str:
    if is_remote(first) or is_remote(second):
        same = first == second
    else:
        same = os.path.samefile(base / first, base / second)
    if same:
        return "listed twice; remove one"
    return f'has the same name as "{first}"; rename one'

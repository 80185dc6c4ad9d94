"""Build a real-text corpus that ships with Headwater.

    python resources/build_corpus.py resources/natural

The script downloads the packages in the folder's ``sources.toml``, checks their SHA-256
sums, extracts the files named there, cuts them into documents, and writes shards in the
format of the Pile (one JSON object a line, zstd).  The same packages and the same
release of libzstd always give the same bytes.

Needs ``apt-get`` and ``dpkg-deb`` (Debian 12, amd64), ``pip`` and, before Python
3.14, the package ``backports.zstd`` (libzstd 1.5.7 makes the shipped shards).  A
package version that the distribution has replaced can be put into the
``--downloads`` folder by hand (Debian keeps old versions in its snapshot archive).
See each folder's NOTICE.md for the licences.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@dataclass(frozen=True)
class Recipe:
    """How a corpus is cut and packed: the table ``corpus`` of its sources.toml.

    Attributes:
        seed: chooses the documents and their order.
        shards: files.
        level: of zstd.
        longest: most characters of a document.
        shortest: documents with fewer are left out.
    """

    seed: str
    shards: int
    level: int
    longest: int
    shortest: int


@dataclass(frozen=True)
class Source:
    """One pinned package, and what it gives to one domain.

    Attributes:
        characters: how much, about.
        files: globs inside the unpacked package.
        skip: regular expression of paths to leave out.
        require: of files, what their first 6,000 characters must match (a licence).
        non_ascii: most of a document's characters that may be no ASCII.
        note: what each of its lines must say, where a licence asks for it.
    """

    domain: str
    characters: int
    kind: str
    name: str
    version: str
    sha256: str
    files: list[str]
    skip: str = r"(?!)"
    require: str = ""
    non_ascii: float = 0.02
    note: str = ""

    @property
    def label(self) -> str:
        """The package as it is named in the metadata of its documents."""
        kind = {"deb": "Debian package", "sdist": "PyPI sdist"}[self.kind]
        return f"{kind} {self.name} {self.version}"

    @property
    def pattern(self) -> str:
        """A glob for the file name of the download."""
        if self.kind == "deb":
            return f"{self.name}_{self.version}_*.deb"
        return f"{self.name}-{self.version}.tar.gz"


@dataclass(frozen=True)
class Document:
    """A cut piece of one file."""

    domain: str
    source: str
    path: str
    part: int
    text: str
    note: str = ""

    def key(self, seed: str) -> str:
        """A hash that puts documents in a fixed random order."""
        name = f"{seed}\0{self.source}\0{self.path}\0{self.part}"
        return hashlib.sha256(name.encode()).hexdigest()

    def to_json(self) -> str:
        """The document as one line of a shard."""
        meta = {
            "pile_set_name": self.domain,
            "source": self.source,
            "path": self.path,
            "part": self.part,
        }
        if self.note:
            meta["note"] = self.note
        return json.dumps({"text": self.text, "meta": meta}, ensure_ascii=False)


_UNWANTED = re.compile(r"gutenberg|general public licen[cs]e", re.IGNORECASE)
_SCRIPT = re.compile(
    r"(<(script|style|svg)\b[^>]*>).*?(</\2>)", re.DOTALL | re.IGNORECASE
)
_NAG_CHUNK = re.compile(r"\\begin\{chunk\}\{nag[^}]*\}.*?\\end\{chunk\}\n*", re.DOTALL)
_PATCH = re.compile(r"\\begin\{patch\}.*?\\end\{patch\}\n*", re.DOTALL)


def sha256_of(path: Path) -> str:
    """The SHA-256 sum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def download(source: Source, folder: Path) -> Path:
    """Return the checked package of a source, fetching it where needed."""
    if not list(folder.glob(source.pattern)):
        fetch(source, folder)
    found = sorted(folder.glob(source.pattern))
    if len(found) != 1:
        raise SystemExit(f"{source.label}: expected one file, found {found}")
    if sha256_of(found[0]) != source.sha256:
        raise SystemExit(f"{source.label}: wrong SHA-256 sum of {found[0].name}")
    return found[0]


def fetch(source: Source, folder: Path) -> None:
    """Download one package into a folder with its own package client."""
    if source.kind == "deb":
        command = ["apt-get", "download", f"{source.name}={source.version}"]
    else:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--no-binary", ":all:", f"{source.name}=={source.version}"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def extract(source: Source, archive: Path, target: Path) -> None:
    """Unpack a package into a new folder."""
    target.mkdir(parents=True)
    if source.kind == "deb":
        subprocess.run(["dpkg-deb", "-x", archive, target], check=True)
        return
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")


def source_files(source: Source, root: Path) -> list[Path]:
    """The files of a source in sorted order, each once."""
    skip = re.compile(source.skip)
    found = {path for pattern in source.files for path in root.glob(pattern)}
    kept = [path for path in found if path.is_file() and not path.is_symlink()]
    return sorted(path for path in kept if not skip.search(path.as_posix()))


def read_text(path: Path) -> str:
    """The text of a file (UTF-8, else Latin-1) with Unix line ends."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n")


def clean(text: str, path: Path) -> str:
    """Remove what is not text of the domain.

    HTML loses the contents of scripts, styles and drawings.  The Axiom book loses the
    plain-text manual pages of a foreign library and the stored program output.
    """
    if path.suffix == ".html":
        return _SCRIPT.sub(r"\1\3", text)
    if path.suffix == ".pamphlet":
        return _PATCH.sub("", _NAG_CHUNK.sub("", text))
    return text


def cut_point(text: str, start: int, longest: int) -> int:
    """Where the document that begins at ``start`` ends."""
    limit = start + longest
    if limit >= len(text):
        return len(text)
    for mark, least in (("\n\n", longest // 2), ("\n", longest // 4), (" ", 0)):
        found = text.rfind(mark, start + least, limit)
        if found > start:
            return found + len(mark)
    return limit


def cut(text: str, longest: int) -> Iterator[str]:
    """Cut a text into documents at paragraph, line or word boundaries."""
    start = 0
    while start < len(text):
        end = cut_point(text, start, longest)
        yield text[start:end]
        start = end


def wanted(text: str, shortest: int, most_non_ascii: float) -> bool:
    """Whether a document is long, ASCII and free enough to keep."""
    if len(text.strip()) < shortest or _UNWANTED.search(text):
        return False
    non_ascii = sum(1 for char in text if not char.isascii())
    return non_ascii <= most_non_ascii * len(text)


def documents(source: Source, root: Path, recipe: Recipe) -> Iterator[Document]:
    """All documents that a source could give."""
    for path in source_files(source, root):
        name, whole = path.relative_to(root).as_posix(), read_text(path)
        if not re.search(source.require, whole[:6000]):
            continue
        for part, text in enumerate(cut(clean(whole, path), recipe.longest)):
            if wanted(text, recipe.shortest, source.non_ascii):
                own = source.domain, source.label, name, part, text, source.note
                yield Document(*own)


def select(source: Source, root: Path, recipe: Recipe) -> list[Document]:
    """Random different documents of a source, up to its number of characters."""
    seen: set[str] = set()
    chosen: list[Document] = []
    total = 0
    found = documents(source, root, recipe)
    for doc in sorted(found, key=lambda doc: doc.key(recipe.seed)):
        if total < source.characters and doc.text not in seen:
            seen.add(doc.text)
            chosen.append(doc)
            total += len(doc.text)
    return chosen


def collect(
    sources: list[Source], recipe: Recipe, downloads: Path, work: Path
) -> list[Document]:
    """Download and unpack every package, and choose the documents."""
    chosen: list[Document] = []
    for number, source in enumerate(sources):
        root = work / f"{number}-{source.name}"
        extract(source, download(source, downloads), root)
        chosen += select(source, root, recipe)
    return chosen


def deal(docs: list[Document], recipe: Recipe) -> list[list[Document]]:
    """Deal documents to shards so that each gets its share of each source."""
    shards: list[list[Document]] = [[] for _ in range(recipe.shards)]
    sizes: dict[str, list[int]] = defaultdict(lambda: [0] * recipe.shards)
    for doc in sorted(docs, key=lambda doc: doc.key(recipe.seed)):
        held = sizes[doc.source]
        index = held.index(min(held))
        held[index] += len(doc.text)
        shards[index].append(doc)
    return shards


def write_shards(shards: list[list[Document]], level: int, out: Path) -> None:
    """Write each shard as zstd-compressed JSON lines."""
    out.mkdir(parents=True, exist_ok=True)
    for index, docs in enumerate(shards):
        data = "".join(f"{doc.to_json()}\n" for doc in docs).encode()
        path = out / f"{index:02d}.jsonl.zst"
        path.write_bytes(zstd.compress(data, level))
        print(f"{path.name}: {len(docs)} documents, {path.stat().st_size} bytes")
        print(f"  SHA-256 of the plain text: {hashlib.sha256(data).hexdigest()}")


def report(docs: list[Document]) -> None:
    """Print documents and characters per domain and source as a table."""
    count: Counter[tuple[str, str]] = Counter()
    chars: Counter[tuple[str, str]] = Counter()
    for doc in docs:
        for source in (doc.source, "**total**"):
            count[doc.domain, source] += 1
            chars[doc.domain, source] += len(doc.text)
    print("| domain | source | documents | characters |\n| --- | --- | ---: | ---: |")
    for key in sorted(chars):
        print(f"| {key[0]} | {key[1]} | {count[key]:,} | {chars[key]:,} |")


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Build a shipped text corpus.")
    parser.add_argument("folder", type=Path, help="folder with sources.toml")
    parser.add_argument("--out", type=Path, help="folder for the shards, if another")
    parser.add_argument(
        "--downloads", type=Path, help="folder that keeps the packages between runs"
    )
    return parser.parse_args()


def main() -> None:
    """Build the corpus."""
    args = parse_args()
    table = tomllib.loads((args.folder / "sources.toml").read_text(encoding="utf-8"))
    recipe = Recipe(**table["corpus"])
    sources = [Source(**row) for row in table["source"]]
    with tempfile.TemporaryDirectory() as temp:
        downloads = (args.downloads or Path(temp, "downloads")).resolve()
        downloads.mkdir(parents=True, exist_ok=True)
        docs = collect(sources, recipe, downloads, Path(temp, "work"))
    write_shards(deal(docs, recipe), recipe.level, args.out or args.folder)
    report(docs)


if __name__ == "__main__":
    main()

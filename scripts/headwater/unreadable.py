"""What a file really is that cannot be read as what it should be, and what to do.

The advice never costs a file of the user's own: it may be right, and locked, of another
kind, or not fetched yet.
"""

import errno
import os
import re
import stat
from pathlib import Path

from headwater.errors import HeadwaterError

AGAIN = "copy or download it again"
HEAD = 512  # bytes that tell what a file is

_ZSTD = "zstd file (.zst)"
_PARQUET = "parquet file"
_SAFETENSORS = "safetensors file"
_HDF5 = "HDF5 file"
_INDEX = "Megatron index (.idx)"
_BIN = ".bin file"
_BINARY = {  # by the end of a name
    ".zst": _ZSTD,
    ".parquet": _PARQUET,
    ".safetensors": _SAFETENSORS,
    ".h5": _HDF5,
    ".idx": _INDEX,
    ".bin": _BIN,
}
_PLACEHOLDER = 1 << 20  # bytes; what stands in a file's place is smaller
_LFS = b"version https://git-lfs.github.com/spec/"
_ANNEX = b"/annex/objects/"
_GET = "run `git annex get` on it"
_PAGE = re.compile(rb"(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.I | re.S)
_MAGIC = {
    b"\x28\xb5\x2f\xfd": _ZSTD,
    b"\x1f\x8b": "gzip file (.gz)",
    b"BZh": "bzip2 file (.bz2)",
    b"\xfd7zXZ\0": "xz file (.xz)",
    b"\x04\x22\x4d\x18": "lz4 file (.lz4)",
    b"7z\xbc\xaf\x27\x1c": "7-Zip archive",
    b"PK\x03\x04": "zip archive",
    b"PAR1": _PARQUET,
    b"ARROW1": "Arrow file",
    b"\x89HDF\r\n\x1a\n": _HDF5,
    b"\x93NUMPY": "NumPy array (.npy)",
    b"MMIDIDX": _INDEX,
    b"GGUF": "GGUF file",
    b"SQLite format 3\0": "SQLite database",
    b"%PDF": "PDF",
    b"\x89PNG": "picture (PNG)",
    b"\x80\x02": "pickle of Python",
    b"\x80\x03": "pickle of Python",
    b"\x80\x04": "pickle of Python",
    b"\x80\x05": "pickle of Python",
    b"\xff\xfe": "text in UTF-16 or UTF-32 (byte order mark)",
    b"\xfe\xff": "text in UTF-16 (byte order mark)",
    b"\0\0\xfe\xff": "text in UTF-32 (byte order mark)",
}
_PICKLES = ("zip archive", "pickle of Python")  # as PyTorch's `.bin` files begin
_TEXT = re.compile(rb"[\t\r\n\x20-\x7e]+")
_CUT = re.compile(  # what readers say of a file that lacks its end
    "truncated|incomplete ?buffer|central directory|magic bytes not found in footer|"
    "ran out of input|unexpected end|file size",
    re.IGNORECASE,
)


Found = tuple[str, str]  # what it is, and what to do


def unreadable(path: Path, error: object, again: str = "") -> HeadwaterError:
    """What to raise for a file that cannot be read as what its name says.

    Args:
        error: what its reader said.
        again: what to do about a file of Headwater's own, whatever is there instead.
    """
    return HeadwaterError(f"{path}: {why(path, error, again)}")


def why(path: Path, error: object, again: str = "") -> str:
    """What is wrong with a file, and what to do, in one line without its name."""
    if found := _barred(path, error):
        return "; ".join(found)
    what, todo = _stand_in(path) or _by_head(_head(path), path.name, error)
    return f"{what}; {again or todo}"


def why_by_head(head: bytes, name: str, error: object) -> str:
    """As `why`, for what is no file on this machine: its first `HEAD` bytes."""
    return "; ".join(_by_head(head, name, error))


def stand_in(path: Path) -> str | None:
    """What is there in place of a file, and what to do; None if it may be the file."""
    found = _barred(path) or _stand_in(path)
    return found and "; ".join(found)


def looks_like(head: bytes) -> str | None:
    """The kind of file that begins with these bytes, if it is known."""
    if head and not head.strip(b"\0"):
        return "file of zero bytes (an interrupted copy?)"
    if head[257:262] == b"ustar":
        return "tar archive"
    if head[8:9] == b"{" and head[4:8] == b"\0\0\0\0":
        return _SAFETENSORS
    found = (name for magic, name in _MAGIC.items() if head.startswith(magic))
    return next(found, None)


def _barred(path: Path, error: object = None) -> Found | None:
    """The file may be right, but it cannot be had now, or not by this user."""
    if getattr(error, "errno", None) == errno.EAGAIN:
        return (
            "another process has it open and locked",
            "wait until it is closed, or, if nothing has it open, set "
            "HDF5_USE_FILE_LOCKING=FALSE in the environment",
        )
    try:
        regular = path.is_file()
        if regular and os.access(path, os.R_OK):
            return None
    except PermissionError:  # of a folder above it
        regular = True
    if not regular:
        return None
    return (
        "you may not read it",
        "check its permissions and those of the folders above it (chmod, or its owner)",
    )


def _stand_in(path: Path) -> Found | None:
    try:
        found = path.stat()
    except OSError as error:
        return _absent(path, error)
    if stat.S_ISDIR(found.st_mode):
        return "a folder, not a file", "give the file's path"
    if not stat.S_ISREG(found.st_mode):
        return "a pipe or a device, not a file", "give the path of a file"
    return _placeholder(_head(path)) if found.st_size < _PLACEHOLDER else None


def _absent(path: Path, error: OSError) -> Found:
    if not path.is_symlink():
        missing = error.errno == errno.ENOENT
        return "no such file" if missing else str(error.strerror), "check the path"
    target = os.readlink(path)
    if "annex/objects/" in target:
        return "a link of git-annex to content that is not here", _GET
    missing = error.errno == errno.ENOENT
    what = ", which is not there" if missing else f" ({error.strerror})"
    return f"a link to {target}{what}", "mend the link, or give the file's own path"


def _placeholder(head: bytes) -> Found | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(_LFS):
        return "a pointer of Git LFS, not the file", "run `git lfs pull` in its clone"
    if len(head) < HEAD and _ANNEX in head and head.count(b"\n") <= 1:
        return "a pointer of git-annex, not the file", _GET
    if _PAGE.match(text):
        return (
            "a web page (HTML), perhaps of a login or an error",
            "download the file itself, signed in where that is needed",
        )
    if text.startswith(b"<?xml") and b"<Error" in text:
        answer = _quoted(text[text.index(b"<Error") :])
        return f"a server's error in place of the file ({answer})", AGAIN
    return None


def _by_head(head: bytes, name: str, error: object) -> Found:
    if not head:
        return "damaged (an empty file, 0 bytes)", AGAIN
    if found := _placeholder(head):
        return found
    said = " ".join(str(error).split()) or type(error).__name__
    suffix = Path(name).suffix
    kind = _BINARY.get(suffix, f"{suffix} file".strip())
    looks = looks_like(head)
    if looks not in (None, kind) and not (kind == _BIN and looks in _PICKLES):
        return f"{looks}, no {kind}", "give the right file, or convert it"
    if suffix in _BINARY and _TEXT.fullmatch(head):
        return f"text, no {kind} (it begins {_quoted(head)})", AGAIN
    cut = "cut short: " if _CUT.search(said) else ""
    return f"damaged ({cut}{said})", AGAIN


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def _quoted(text: bytes) -> str:
    line = " ".join(text.decode("ascii", "replace").split())
    return repr(line if len(line) <= 60 else f"{line[:60]}...")

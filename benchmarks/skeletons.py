"""What is kept of the run that plants skeletons: its window, and what was mined.

    .venv/bin/snakemake --cores all motifs --configfile config/skeletons.yaml
    .venv/bin/python benchmarks/skeletons.py results/skeletons

makes docs/runs/skeletons: `window.h5`, from which tests mine again, and what was mined
as `motifs.tsv` and for docs/catalysts.md (then benchmarks/quote.py).

    window.h5   tokens [rows, width], owners (the document), domain, scores (MDA's, of
                the induction head) of every row of the window in training order; as
                JSON `texts` of all tokens and `planted`, the skeletons, of token ids
                and names of slots; the seed that mining takes
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "resources")]

import build_skeletons  # noqa: E402

import headwater  # noqa: E402
from headwater.catalysts.files import read_looks  # noqa: E402
from headwater.corpus.encoding import Encoder  # noqa: E402
from headwater.heads.targets import open_window  # noqa: E402
from headwater.influence.files import read_scores  # noqa: E402
from headwater.publish import publish_file, write_text  # noqa: E402
from headwater.report.visible import plain  # noqa: E402
from headwater.seeds import stable_seed  # noqa: E402
from headwater.tables import write_table  # noqa: E402

TARGET = "induction"
RUN = REPOSITORY / "docs/runs/skeletons"
PACKED = {"compression": "gzip", "compression_opts": 9, "shuffle": True}


def write_window(results: Path, path: Path) -> None:
    """Keep the rows of the window and their scores."""
    run = headwater.open(results)
    config, encoder = run.config, run.reader.encoder
    _, window = open_window(
        results / "heads/window.json",
        sorted(results.glob("corpus/[0-9]*.zarr")),
        config,
    )
    scores = read_scores([results / f"influence/{TARGET}.zarr"], config)
    looks = read_looks(sorted(results.glob("catalysts/features/*.h5")), config)
    texts = encoder.decode_many(list(np.arange(encoder.vocabulary)[:, None]))
    names = np.array(window.rows.domain_names, object)
    columns = {
        "tokens": window.take(np.arange(len(scores))).astype(np.uint16),
        "owners": looks.owners.astype(np.int32),
        "domain": window.domains().astype(np.uint8),
        "scores": scores.astype(np.float32),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with publish_file(path) as part, h5py.File(part, "w") as file:
        for name, values in columns.items():
            file.create_dataset(name, data=values, track_times=False, **PACKED)
        file.attrs["texts"] = json.dumps(texts)
        file["domain"].attrs["names"] = list(names)
        file.attrs["planted"] = json.dumps(planted(encoder))
        file.attrs["seed"] = stable_seed(config["seed"], "motifs", TARGET)
        file.attrs["head"] = run.targets[TARGET].unit


def planted(encoder: Encoder) -> dict[str, list[int | str]]:
    """Each skeleton, in tokens."""
    found: dict[str, list[int | str]] = {}
    for name, pieces in build_skeletons.PIECES.items():
        found[name] = []
        for piece in pieces:
            slot = piece in build_skeletons.SLOTS
            found[name] += [piece] if slot else encoder.encode([piece])[0].ids.tolist()
    return found


def motifs(results: Path) -> pd.DataFrame:
    """What the run has mined, a line each."""
    path = results / f"catalysts/{TARGET}.motifs.json"
    found = json.loads(path.read_text(encoding="utf-8"))["motifs"]
    return pd.DataFrame(
        {
            "skeleton": [plain(m["skeleton"].replace("\n", "↵")) for m in found],
            "domain": [m["domain"] for m in found],
            **{
                name: [m["evidence"][name] for m in found]
                for name in ("mass", "top_rows", "random_rows", "p")
            },
        }
    )


def lines(found: pd.DataFrame) -> Iterator[str]:
    """The table for docs/catalysts.md."""
    yield f"{'skeleton':<38}{'domain':<11}{'of the top rows':>15}{'of random rows':>16}"
    for line in found.itertuples():
        shares = f"{100 * line.top_rows:>13.1f} %{100 * line.random_rows:>14.1f} %"
        yield f"{line.skeleton:<38}{line.domain:<11}{shares}"
    yield "end"


if __name__ == "__main__":
    write_window(Path(sys.argv[1]), RUN / "window.h5")
    table = motifs(Path(sys.argv[1]))
    write_table(RUN / "motifs.tsv", table)
    write_text(RUN / "motifs.md", "\n".join(lines(table)) + "\n")

"""What a target's probe is asked on: random repeated sequences, or a file of rows."""

from pathlib import Path

from headwater.corpus.encoding import Encoder
from headwater.heads.sequences import SCORING, draw_sequences
from headwater.identity import Config
from headwater.probes.dataset import read_rows
from headwater.probes.registry import ProbeData, Wanted


def probe_data(
    target: Config, held_out: str, tokenizer: str, config: Config
) -> ProbeData:
    """The data that a target's rows are scored for.

    Args:
        target: its section of the config.
        held_out: the held-out store, which knows the corpus's token counts.

    Raises:
        HeadwaterError: its rows cannot be read.
    """
    if "data" in target:
        return dataset_rows(target, tokenizer, config)
    count = config["gradients"]["probe_sequences"]
    return draw_sequences(SCORING, count, Path(held_out), Path(tokenizer), config)


def dataset_rows(target: Config, tokenizer: str, config: Config) -> Wanted:
    """The rows of a target whose probe is asked on a file of them.

    Raises:
        HeadwaterError: they cannot be read.
    """
    encoder = Encoder.open(Path(tokenizer), config)
    return read_rows(
        Path(target["data"]),
        lambda text: encoder.encode([text])[0].ids.tolist(),
        encoder.vocabulary,
        config["corpus"]["seq_len"],
    )

"""What a target's probe is asked on: random repeated sequences, or a file of rows."""

from pathlib import Path

from headwater.corpus.encoding import Encoder
from headwater.heads.sequences import load_probe_vocabulary, repeated_sequences
from headwater.identity import Config
from headwater.probes.dataset import read_rows
from headwater.probes.registry import ProbeData
from headwater.seeds import stable_seed


def probe_data(
    target: Config, held_out: str, tokenizer: str, config: Config
) -> ProbeData:
    """The data of a target's probe.

    Args:
        target: its section of the config.
        held_out: the held-out store, which knows the corpus's token counts.

    Raises:
        HeadwaterError: the rows of a dataset probe cannot be read.
    """
    if target["probe"] == "dataset":
        encoder = Encoder.open(Path(tokenizer), config)
        return read_rows(
            Path(target["data"]),
            lambda text: encoder.encode([text])[0].ids.tolist(),
            encoder.vocabulary,
            config["corpus"]["seq_len"],
        )
    sequences = repeated_sequences(
        config["gradients"]["probe_sequences"],
        config["heads"]["half_length"],
        load_probe_vocabulary(Path(held_out), Path(tokenizer), config),
        stable_seed(config["seed"], "probe", target["probe"]),
    )
    return ProbeData(sequences)

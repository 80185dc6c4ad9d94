"""Questions to the gradient stores of a finished experiment: no pass over its rows.

A new probe costs its own gradient, on a few hundred sequences, and one streaming read
of a unit's codes; so does another damping. "Rows like this one" costs the read alone.
`exact` passes a few rows through the model on top of that.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float32, Float64, Int64

from headwater import seals
from headwater.checkpoints.files import load_for_pass, load_model
from headwater.checkpoints.schedule import point_names
from headwater.corpus.encoding import Encoder
from headwater.corpus.files import row_shards
from headwater.curvature.ekfac import Factors
from headwater.curvature.files import read_factors
from headwater.errors import HeadwaterError
from headwater.gradients.passes import PassOptions
from headwater.gradients.probe import probe_gradient, warn_if_zero
from headwater.gradients.writes import written_tokens
from headwater.heads.probe_data import probe_data
from headwater.heads.targets import open_window, read_target
from headwater.identity import Config
from headwater.influence.average import (
    PointScores,
    counted,
    point_factors,
    within,
)
from headwater.influence.files import Product, read_product, read_tokens
from headwater.influence.inverse import solve
from headwater.influence.question import Question
from headwater.influence.ranking import ranked_table
from headwater.influence.scores import score_store
from headwater.job import device
from headwater.logs import logger
from headwater.models.sites import Model
from headwater.probes import find_probe
from headwater.projection.store import UnitRows, row_losses, store_parts
from headwater.projection.stored import check_stored, store_paths
from headwater.units import Unit

NO_UNIT = {"head": "", "unit": ""}  # that two questions are compared without


@dataclass(frozen=True)
class Answer:
    """What the stores say to a question, of every row of the window.

    Attributes:
        scores: positive = the row helps.
        losses: summed loss of each row, nats.
        checkpoints: at how many each row is scored.
        factors: what the scores of each checkpoint were multiplied by, see `average`.
        products: inverse-Hessian-vector products, by checkpoint.
    """

    scores: Float32[np.ndarray, " rows"]
    losses: Float32[np.ndarray, " rows"]
    checkpoints: Int64[np.ndarray, " rows"]
    factors: Float64[np.ndarray, " points"]
    products: list[Product] = field(repr=False)

    def percentiles(
        self, scores: Float[np.ndarray, " some"]
    ) -> Float64[np.ndarray, " some"]:
        """Per cent of the window's rows that score below each of some scores."""
        below = np.searchsorted(np.sort(self.scores), scores, side="left")
        return 100 * below / len(self.scores)


class Experiment:
    """The stores of one experiment, opened for questions.

    Args:
        config: all files are checked against it.
        config_file: its file, for what to type when the stores are not there.

    Raises:
        HeadwaterError: the `gradients` stage has not been run.
    """

    def __init__(self, results: Path, config: Config, config_file: str) -> None:
        self.results, self.config = results, config
        check_stored(results, config, config_file)
        path = results / "heads" / "window.json"
        shards = row_shards(results / "corpus", config)
        tokenizer = results / "corpus" / "tokenizer"
        for used in (path, tokenizer, *shards, *store_paths(results, config)):
            seals.check(used)
        self.choice, self.window = open_window(path, shards, config)

    def answer(self, question: Question) -> Answer:
        """A score of every row of the window, from the stores.

        Raises:
            HeadwaterError: the stores lack the unit, do not fit the config, or keep
                only the coordinates that matter to other probes.
        """
        unit, products = question.unit, []
        self._check_kept(unit, question.target)
        found = PointScores(len(self.window), 1, len(self.choice.points))
        for number, (point, step) in enumerate(self.points()):
            stores = list(self._stores(point, step, unit))
            logger.info("step %d: what the probe %s asks for", step, question.probe)
            product = self._product(point, question)
            logger.info("step %d: scores of the stored rows", step)
            products.append(product)
            for part, rows, losses in stores:
                place = within(part, range(len(self.window)))
                own = score_store(rows, [product.vector])
                found.add(number, place, own, losses)
        (scores,) = found.means()
        points = found.scores[:, 0]
        return Answer(
            scores, found.losses, counted(points), point_factors(points), products
        )

    def ranked(self, answer: Answer) -> pd.DataFrame:
        """The rows that help most and least: a ranked table."""
        return ranked_table(
            answer.scores, answer.losses, self.window, answer.checkpoints
        )

    def rows_like(self, unit: Unit, row: int) -> pd.DataFrame:
        """The rows that act on a unit like a given one: a ranked table.

        The score is the cosine of the two rows' whitened gradients at the window's
        start: 1 = the same effect on the unit up to size, whatever the probe.

        Args:
            unit: must be in the stores.
            row: its global number.

        Raises:
            HeadwaterError: the row is not in the window.
        """
        self._check_kept(unit, None)
        point = point_names(self.config["window"])[0]
        stores = list(self._stores(point, self.choice.points[0], unit))
        query = None
        place = row - self.window.first
        for part, rows, _ in stores:
            if place in part:
                query = rows.decode(slice(place - part.start, place - part.start + 1))
        if query is None:
            last = self.window.first + len(self.window) - 1
            raise HeadwaterError(
                f"row {row}: not in the window, rows {self.window.first} to {last}"
            )
        cosines = [rows.cosines(query[0]) for _, rows, _ in stores]
        losses = [losses for _, _, losses in stores]
        return ranked_table(
            np.concatenate(cosines), np.concatenate(losses), self.window
        )

    def stored_parts(self, question: Question, rows: list[int]) -> list[np.ndarray]:
        """Tokens' parts of rows' scores as the run has stored them.

        Of a target's own question, and rows among those that its report shows; so no
        model is loaded for them.

        Args:
            rows: global numbers.

        Returns:
            float32 [length] of each row, see `exact.token_parts`; nothing where any of
            them is not stored.
        """
        path = self.results / "influence" / f"{question.name}.tokens.h5"
        if not (self._is_own(question) and path.exists()):
            return []
        seals.check(path)
        known = read_tokens(path, self.config)
        if not known.keys() >= {*rows}:
            return []
        return [known[row].scores for row in rows]

    def written(self, unit: Unit, rows: list[int]) -> np.ndarray:
        """Ids of the tokens that rows push in and out: [rows, 2, count].

        One pass over these rows, at the window's first point; see `gradients.writes`.

        Args:
            rows: global numbers, in the window.
        """
        folder = self.results / "heads" / point_names(self.config["window"])[0]
        tokenizer = self.results / "corpus" / "tokenizer"
        seals.check(folder)
        numbers = np.array(rows)
        tokens = torch.from_numpy(self.window.take(numbers - self.window.first))
        ids = Encoder.open(tokenizer, self.config).vocabulary
        size = self.config["gradients"]["batch_size"]
        options = PassOptions(size, vocabulary=ids, numbers=numbers)
        model = load_model(folder, self.config)
        return written_tokens(model, tokens, unit, options).numpy()

    def points(self) -> list[tuple[str, int]]:
        """The window's checkpoints: names and steps."""
        names = point_names(self.config["window"])
        return list(zip(names, self.choice.points, strict=True))

    def model(self, point: str) -> tuple[Model, Factors]:
        """One of the window's checkpoints for exact passes, and its factors."""
        checkpoint = self.results / "heads" / point
        curvature = self.results / "curvature" / f"{point}.h5"
        for used in (checkpoint, curvature):
            seals.check(used)
        model = load_for_pass(checkpoint, self.config, device())
        return model, read_factors(curvature, self.config)

    def _check_kept(self, unit: Unit, target: Config | None) -> None:
        """Refuse questions for which the store has thrown coordinates away."""
        kept = self.config["gradients"]["coordinates"]
        if kept == "all":
            return
        for name, known in self.config["targets"].items():
            path = self.results / "heads" / "targets" / f"{name}.json"
            seals.check(path)
            chosen = read_target(path, self.config).unit
            same = {**known, **NO_UNIT} == {**(target or {}), **NO_UNIT}
            if same and chosen == str(unit):
                return
        raise HeadwaterError(
            f"gradients.coordinates: the stores keep {kept} coordinates, chosen "
            "for the config's targets; other questions need gradients.coordinates: all"
        )

    def _stores(
        self, point: str, step: int, unit: Unit
    ) -> Iterator[tuple[range, UnitRows, np.ndarray]]:
        paths = store_paths(self.results, self.config, point)
        for part, group in store_parts(paths, step, self.window, self.config):
            yield part, UnitRows(group, str(unit)), row_losses(group)

    def _is_own(self, question: Question) -> bool:
        """Whether it is a target's own question, whose product has been stored.

        Not of a file of the user's, which may be another by now.
        """
        known = self.config["targets"].get(question.name)
        damping = self.config["influence"]["damping"]
        if known is None or "data" in known or question.damping != damping:
            return False
        return {**known, **NO_UNIT} == {**(question.target or {}), **NO_UNIT}

    def _product(self, point: str, question: Question) -> Product:
        config, corpus = self.config, self.results / "corpus"
        unit, target = question.unit, question.target
        assert target is not None  # else it is about a row
        made = self.results / "influence" / "ihvp" / point / f"{question.name}.h5"
        if self._is_own(question) and made.exists():
            seals.check(made)
            return read_product(made, config)
        held_out, tokenizer = corpus / "held_out.zarr", corpus / "tokenizer"
        checkpoint = self.results / "heads" / point
        curvature = self.results / "curvature" / f"{point}.h5"
        for used in (held_out, checkpoint, curvature):
            seals.check(used)
        data = probe_data(target, str(held_out), str(tokenizer), config)
        model = load_model(checkpoint, config)
        probe = find_probe(target["probe"])
        gradient, _ = probe_gradient(model, probe, unit, data)
        warn_if_zero(gradient, target["probe"], unit)
        factors = read_factors(curvature, config)
        vector = solve(factors, unit.blocks, gradient, question.damping)
        return Product(question.name, unit, vector)

"""The rows of the window as one table: score, loss, domain, features, document."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64

from headwater.catalysts.documents import Documents
from headwater.catalysts.files import Looks
from headwater.influence.ranking import top_count
from headwater.interventions.facts import RowFacts

# Which rows are looked at: a share of those of the highest scores, or of the lowest.
BANDS = {"top_1": 0.01, "top_5": 0.05, "top_10": 0.1, "bottom_10": -0.1}
DOMAIN, FEATURE = "domain", "feature"


@dataclass(frozen=True)
class ScoredRows:
    """Every row of the window, with what is known of it.

    Attributes:
        scores: of the target; positive = the row helps.
        losses: nats a token.
        domains: index of `names`.
        names: of the domains.
        looks: features and documents.
        seed: of the samples of documents.
    """

    scores: Float64[np.ndarray, " rows"]
    losses: Float64[np.ndarray, " rows"]
    domains: Int64[np.ndarray, " rows"]
    names: list[str]
    looks: Looks
    seed: int

    def __len__(self) -> int:
        return len(self.scores)

    @cached_property
    def documents(self) -> Documents:
        """The documents of the rows."""
        return Documents(self.looks.owners, self.seed)

    @cached_property
    def facts(self) -> RowFacts:
        """The rows' domains and losses, for cells of alike rows."""
        return RowFacts(self.domains, {"loss": self.losses})

    @cached_property
    def features(self) -> dict[str, Float64[np.ndarray, " rows"]]:
        """What can be enriched besides domains: looks, and the loss."""
        return {**self.looks.features, "loss": self.losses}

    @cached_property
    def in_domain(self) -> dict[str, Float64[np.ndarray, " rows"]]:
        """1 in the rows of each domain that has any."""
        there = np.bincount(self.domains, minlength=len(self.names)) > 0
        return {
            name: (self.domains == number).astype(np.float64)
            for number, name in enumerate(self.names)
            if there[number]
        }

    def band(self, name: str) -> Bool[np.ndarray, " rows"]:
        """The rows of a band; at least one, ties in their order."""
        share = BANDS[name]
        count = top_count(abs(share), len(self))
        order = np.argsort(-self.scores if share > 0 else self.scores, kind="stable")
        found = np.zeros(len(self), bool)
        found[order[:count]] = True
        return found

    def only(self, domain: int) -> "ScoredRows":
        """The rows of one domain."""
        own = self.domains == domain
        features = {name: v[own] for name, v in self.looks.features.items()}
        looks = Looks(features, self.looks.owners[own])
        scores, losses = self.scores[own], self.losses[own]
        return ScoredRows(
            scores, losses, self.domains[own], self.names, looks, self.seed
        )

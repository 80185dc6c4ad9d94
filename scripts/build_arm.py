"""Turn one arm into the row and the weight of every position of the window."""

from pathlib import Path

import numpy as np

from headwater import job
from headwater.catalysts.fresh import (
    every_row,
    fresh_rows,
    longest_allowed,
    programs_of,
)
from headwater.catalysts.written import WRITERS
from headwater.corpus.encoding import Encoder
from headwater.corpus.holdout import token_counts
from headwater.corpus.records import unigram
from headwater.heads.targets import open_window
from headwater.identity import arm_identity, picked_identity
from headwater.influence.files import read_losses, read_mda
from headwater.interventions.arms import arm_rows, overlap, pick_rows, reordered
from headwater.interventions.facts import RowFacts, read_facts
from headwater.interventions.files import FreshRows, Match, write_arm, write_match
from headwater.interventions.kinds import KINDS, alike_of, is_compared, score_of
from headwater.interventions.matching import achieved
from headwater.interventions.places import places_of, taken_from
from headwater.interventions.rowfile import check_digest, read_rows
from headwater.interventions.scores import DEFAULT
from headwater.interventions.slopes import reweighted_rows, reweights
from headwater.interventions.subsets import drawn_by
from headwater.interventions.tokens import masked_rows, masks, pick_tokens
from headwater.seeds import stable_seed


def masked_tokens(inputs, settings, window, generator, config):
    """The arm of masked tokens, and how many there are in words."""
    facts = {}
    for path in map(Path, inputs.facts):
        facts |= read_facts(path, config)
    tokens = window.take(np.arange(len(window)))
    picked = pick_tokens(
        settings["rows"], settings["fraction"], facts, tokens, generator
    )
    return masked_rows(picked), f"mask {picked.sum()} tokens"


def reweighted(inputs, settings, window, generator, config):
    """The arm of lowered weights, and what they lose in words."""
    numbers = known_facts(inputs, settings, window, config).numbers
    count = round(settings["fraction"] * len(window))
    made = reweighted_rows(settings["rows"], count, numbers, generator)
    return made, f"take the weight of {count} rows"


def known_facts(inputs, settings, window, config):
    """All that the arm's kind is to know of the window's rows."""
    numbers = {"time": np.linspace(0, 1, len(window))}
    for path in map(Path, inputs.facts):
        if path.suffix == ".zarr":
            losses = read_losses([path], config)
            numbers["score"] = read_mda(path, config)
            numbers["loss"] = losses / (window.rows.width - 1)
        else:
            numbers |= read_facts(path, config)
    if (name := score_of(settings)) != DEFAULT:
        numbers["score"] = numbers[name]
    if "file" in settings:
        rows = range(window.first, window.first + len(window))
        numbers["file"] = read_rows(Path(inputs.file), rows, settings["sha256"])
    return RowFacts(
        window.domains(),
        numbers,
        window.rows.domain_names,
        alike_of(settings),
        settings.get("disjoint", KINDS[settings["rows"]].disjoint),
    )


def written_rows(inputs, settings, rows, count, seed, config):
    """Rows written for the arm, each with the motif that it was written after."""
    motifs = Path(inputs.motifs)
    if "motifs" in settings:
        check_digest(motifs, settings["sha256"])
    encoder = Encoder.open(Path(inputs.tokenizer), config)
    programs = programs_of(motifs, encoder)
    counts = token_counts(Path(inputs.held_out), config)
    distribution = unigram(counts, encoder.special_ids)
    kind = settings["rows"]
    writer = WRITERS[kind](programs, rows.width, distribution, seed)
    tokens, origin, refused = fresh_rows(
        *(writer, every_row(rows), count, longest_allowed(rows.width)),
        dtype=np.min_scalar_type(encoder.vocabulary),
        advice="lower the arm's fraction",
    )
    if refused:
        text = "%d rows that share a span of more than %d tokens with a training row"
        job.logger.info(f"left out {text}", refused, longest_allowed(rows.width))
    sources = [f"{kind}: {program.name} of {motifs}" for program in programs]
    return FreshRows(tokens, origin, sources)


def tell_fresh(arm, fresh):
    """Log after which motif how many rows were written."""
    counts = np.bincount(fresh.origin, minlength=len(fresh.sources))
    for source, count in zip(fresh.sources, counts, strict=True):
        job.logger.info("%s: %d rows, %s", arm, count, source)


def tell_picked(arm, action, picked, facts, total):
    """Log of which domains the rows are."""
    names = facts.names
    counts = np.bincount(facts.domains[picked], minlength=len(names))
    job.logger.info(
        "%s: %s %d of %d rows: %s",
        *(arm, action, len(picked), total),
        ", ".join(f"{n!r} {c}" for n, c in zip(names, counts, strict=True)),
    )


def tell_match(arm, match, count):
    """Log how far the rows are like the ones they are to explain."""
    for line in match.facts:
        if line["fact"] == "domain":
            text = "%s: %.1f %% would have to be of another domain"
            job.logger.info(text, arm, 100 * line["distance"])
        else:
            job.logger.info(
                "%s: %s %.4g, of the rows it is compared with %.4g (%.2f sd)",
                *(arm, line["fact"], line["arm_mean"], line["top_mean"]),
                line["distance"],
            )
    missed, share = match.facts[0]["missed"], 100 * match.overlap
    if np.isfinite(missed):
        text = "%s: %d of %d rows are outside the cells that they were matched in"
        job.logger.info(text, arm, missed, count)
    job.logger.info("%s: %.1f %% of the rows are also among those", arm, share)


def main(snakemake):
    with job.start(snakemake) as config:
        arm, draw = snakemake.wildcards.arm, int(snakemake.wildcards.draw)
        settings = config["arms"][arm]
        inputs = snakemake.input
        _, window = open_window(inputs.window, inputs.rows, config)
        seed = stable_seed(
            config["seed"], "interventions", *drawn_by(arm, settings), draw
        )
        generator, kind = np.random.default_rng(seed), KINDS[settings["rows"]]
        rows, about = Path(snakemake.output.rows), Path(snakemake.output.match)
        stamp = arm_identity("interventions", config, arm, draw)
        if masks(settings) or reweights(settings):
            make = masked_tokens if masks(settings) else reweighted
            made, told = make(inputs, settings, window, generator, config)
            write_match(about, Match(), picked_identity(config, arm, draw))
            write_arm(rows, made, stamp)
            text = "%s: %s in %d of %d rows"
            job.logger.info(text, arm, told, len(made.picked), len(window))
            return
        count = round(settings["fraction"] * len(window))
        whole = known_facts(inputs, settings, window, config)
        inside = taken_from(settings, len(window))
        facts = whole.only(inside)
        own = pick_rows(settings["rows"], count, facts, generator)
        picked = own + inside.start
        places = places_of(settings, window, count)
        made = arm_rows(settings["action"], picked, len(window), generator, places)
        fresh = None
        if kind.written:
            fresh = written_rows(inputs, settings, window.rows, count, seed, config)
        match = Match(
            overlap(settings["rows"], own, facts),
            achieved(facts, own) if is_compared(settings) else [],
        )
        if "order" in settings:
            again = stable_seed(config["seed"], "order", settings["order"])
            made = reordered(made, np.random.default_rng(again))
        write_match(about, match, picked_identity(config, arm, draw))
        write_arm(rows, made, stamp, fresh)
        if fresh is None:
            tell_picked(arm, settings["action"], picked, whole, len(window))
        else:
            tell_fresh(arm, fresh)
        if match.facts:
            tell_match(arm, match, len(picked))


main(snakemake)  # noqa: F821

"""The words of the page, for readers who meet them here first."""

GLOSSARY = (
    (
        "Row",
        "A piece of training text of fixed length; the model trains on some a step.",
    ),
    (
        "Document",
        "A text of the corpus; a row holds a part of one, or parts of several.",
    ),
    ("Domain", "A kind of text, as the corpus names it or as it was detected."),
    ("Unit", "A part of the model: an attention head, a group of heads, a neuron, ..."),
    ("Target", "A unit and the probe that it is asked about."),
    ("Probe", "A number that says how well the unit does its work; scores predict it."),
    ("Window", "The training steps whose rows are scored, and that the arms repeat."),
    ("Baseline", "The training without any change."),
    (
        "Score",
        "How much training on a row helps the unit's probe; positive = it helps.",
    ),
    ("Part", "A token's share of its row's score."),
    ("Arm", "The window trained again with some rows removed, inserted or repeated."),
    ("Draw", "One of several runs of an arm whose rows are drawn at random."),
    ("Control", "An arm that could explain another's effect without its ranking."),
    (
        "Matched",
        "Of a control: rows like the top ones in what is named, drawn at random.",
    ),
    ("Area", "Under the head-score curve over the window, above its start."),
    ("Half-way", "The step at which the head has made half of the baseline's rise."),
    (
        "Verdict",
        "Whether a claim holds over seeds, corrected for the number of claims.",
    ),
    ("Seed", "The number that all chance of a run comes from; a study has several."),
)

"""Names of groups of held-out rows."""

NATURAL = "natural"  # all rows that were not generated
GENERATED = "records"

"""Names of groups of rows that are no domains of the text's own."""

RECORDS = "records"  # the generated rows
NATURAL = "natural"  # all rows that were not generated

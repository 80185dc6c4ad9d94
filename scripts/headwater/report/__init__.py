"""Stage `report`: the tables as figures, pages and words.

tables      what the other stages' tables hold, read back
words       arms, heads and scores in plain words
style       colours and lines of the figures, and how they are saved
emergence   the figure of all arms' curves
enrichment  the figure of where the top rows come from
visible     hostile text made harmless and visible
pages       the page of the highest rows, and the page of all tables
findings    what the numbers allow to be said
sentences   the findings as sentences
summary     the summary as plain text
"""

from pathlib import Path

TEMPLATES = Path(__file__).resolve().parent / "templates"

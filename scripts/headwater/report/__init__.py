"""Stage `report`: the tables as figures, pages and words."""

from pathlib import Path

TEMPLATES = Path(__file__).resolve().parent / "templates"

"""Influence scores: inverse-Hessian-vector products and their products with rows."""

EXTREMES = 1000  # rows listed from each end; the stores keep the score of every row
QUANTILES = 500  # rows that the page shows between them, see `shown`

"""Influence scores: inverse-Hessian-vector products and their products with rows."""

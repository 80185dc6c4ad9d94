"""Headwater: which training data made this attention head?

The library behind the workflow's rules. One sub-package per stage of the science;
data flows from `corpus` to `report` and never back.
"""

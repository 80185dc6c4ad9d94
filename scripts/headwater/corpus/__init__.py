"""Stage `corpus`: Pile shards in, token rows in training order out.

shards     documents of a .jsonl.zst file, one at a time
tokenizer  train a byte-level BPE on them, or fetch a Hugging Face tokenizer
encoding   documents to tokens, with the characters each token stands for
packing    tokens of one source to rows
rowstore   rows and their spans, in memory and in Zarr
collection the packed rows of all sources under one numbering
records    the generated domain
ordering   rows in training order, shard by shard
holdout    held-out rows, token counts and the summary
rows       what every later stage reads rows with
"""

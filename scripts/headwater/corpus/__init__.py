"""Stage `corpus`: text or token ids in, token rows in training order out.

Text, in the Pile's format (data sets are brought into it):

shards      documents of a .jsonl.zst file, one at a time
tokenizer   train a byte-level BPE on them, or fetch a Hugging Face tokenizer
tokenfolder whether a folder is one's
encoding    documents to tokens, with the characters each token stands for
packing     tokens of one source to rows
rowstore    rows and their spans, in memory and in Zarr
collection  the packed rows of all sources under one numbering
records     the generated domain
ordering    rows in training order, shard by shard
holdout     held-out rows, token counts and the summary

Token ids that are in training order already:

steps       which rows a step reads, which bytes a row is
megatron    the index of Pythia's pre-shuffled files
tokenparts  the `.bin` files that are one whole
tokenfiles  their rows, by position
batches     rows in parquet files
rowsource   any of these to rows, with detected domains
rowholdout  held-out rows and the summary
detectors   guesses of the domain of a text

Over the network, on the login node only:

places      addresses, taken apart
remote      ranges of the bytes of a remote file
failures    what is tried again, and what goes wrong, in words
fetching    remote bytes to a local file that survives a kill, with a record
textfetch   remote shards, and data sets of text
streaming   data sets of the `datasets` library
rowfetch    just the rows that an experiment needs

And rows, what every later stage reads rows with.
"""

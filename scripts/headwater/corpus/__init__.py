"""Stage `corpus`: text or token ids in, token rows in training order out.

Where they come from:

sources     one file for each kind of source, asked by the config and the rules
files       the files and addresses that a config names
needs       which rows of a source are used
fetched     a folder of fetched rows

Text, in the Pile's format (data sets are brought into it):

documents   documents of a .jsonl.zst file, one at a time
streaming   data sets of the `datasets` library, as text or as token ids
tokenizer   train a byte-level BPE on them, or fetch a Hugging Face tokenizer
tokenfolder whether a folder is one's
encoding    documents to tokens, with the characters each token stands for
packer      a stream of documents to rows
packing     one source to its packed store, held-out documents apart
collection  the packed rows of all sources under one numbering
records     the generated domain

Token ids that are in training order already:

megatron    the index of Pythia's pre-shuffled files
tokenparts  the `.bin` files that are one whole
tokenfiles  their rows, by position
batches     rows in parquet files
tokenrows   any of these to rows, with detected domains
detectors   guesses of the domain of a text

Of either:

rowstore    rows and their spans, in memory and in Zarr
ordering    rows in training order, shard by shard
holdout     held-out rows, token counts and the summary

And `rows`, what every later stage reads rows with, and `window`, those of the window.
"""

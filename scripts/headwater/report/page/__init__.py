"""The report page: one file for a browser, made of result files alone, without torch.

`inputs` reads what a run has, every other module makes one section's numbers of it,
`columns` packs those of the rows, and `render` puts all into one file of HTML.
"""

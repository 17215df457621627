"""Recipes chosen by measurement: ``--recipe auto``.

`strategy` decides what to try, `candidates` knows what there is to try, `trial_runner` builds and measures it,
`validation` says how good its texts are, `blipvino.bundle.search_record` is the record.
"""

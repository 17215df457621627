"""Recipes chosen by measurement: ``--recipe auto``.

`strategy` decides what to try, `candidates` knows what there is to try, `workshop` builds and measures it, `validation`
says how good its texts are, `trials` is the record.
"""

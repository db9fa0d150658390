"""The Earth seen from above: cameras, imagery, rendered views, and what cameras and air do to their colours.

``camera`` is the geometry, ``texture`` looks pictures of the whole globe up without seams, ``imagery`` names those
pictures and checks them, ``views`` puts the three together, and ``augment`` disturbs the result for training. No torch
here: the trainer asks for batches of arrays.
"""

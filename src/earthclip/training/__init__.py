"""Making a model [extra ``train``]: batches of samples, the coordinate queue, the losses, one linear loop.

``config`` is what a TOML file may say, ``samples`` makes batches in worker processes, ``queue`` and ``losses`` are
GeoCLIP's objective, ``checkpoint`` is what survives a kill, ``loop`` is the run itself, from top to bottom. Rendered
views, photos and cached features are trained on alike, in one process or in many; see docs/training.md.
"""

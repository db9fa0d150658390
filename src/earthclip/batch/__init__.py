"""Many photos: read ahead in other processes while the encoder works, and a journal that outlives a kill.

``read_ahead(paths, preprocessing, views, workers=...)`` gives what ``Locator.locate`` takes, in order and a bounded
number at a time; ``open_journal(output)`` keeps the answers beside the output until it is written whole.
``cluster/`` does it on many machines with Ray [extra ``ray``].
"""

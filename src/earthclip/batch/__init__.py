"""Many photos: read ahead in other processes while the encoder works, and a journal that outlives a kill.

``read_ahead(paths, preprocessing, views, workers=...)`` gives what ``Locator.locate`` takes, in order and a bounded
number at a time; ``open_journal(output)`` keeps the answers beside the output until it is written whole.
The modules ``cluster*`` do it on many machines with Ray: ``answer_on_cluster(task, job, blocks)`` [extra ``ray``].
"""

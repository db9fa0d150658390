"""Many pictures on many machines, on Ray Data: blocks of inputs in, one Parquet file of answers a block out.

``run.answer_on_cluster("locate", job, blocks)`` starts or joins a Ray cluster and gives what came of each block as it
is written. ``blocks`` says what each is made of, ``workers`` answers them with one model each, ``pictures`` reads for
them, ``rows`` and ``output`` write, ``storage`` reaches disks and addresses. docs/clusters.md tells how to run it.
"""

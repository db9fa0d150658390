"""Many pictures on many machines, on Ray Data: blocks of inputs in, one Parquet file for each block out.

``run`` plans the blocks, joins a Ray cluster and follows the work; ``workers`` answers blocks with one model each;
``storage`` reaches disks and addresses, and the folder that is written. docs/clusters.md explains how to run it.
"""

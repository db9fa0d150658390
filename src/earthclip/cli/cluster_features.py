"""``earthclip cluster features``: shards of one store of features, made by the machines of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthclip.cluster.workers import BlockWorker
from earthclip.datasets.feature_store import SHARD_ROWS
from earthclip.outputs.geoparquet import import_pyarrow

if TYPE_CHECKING:
    from earthclip.datasets.photos import PhotoSet
    from earthclip.training.extract import Extractor


@dataclass(frozen=True, eq=False)
class ExtractionJob:
    """What every worker receives once; ``output`` and ``backbone`` are paths that all machines reach."""

    photos: PhotoSet
    backbone: Path
    output: str
    views: int
    seed: int
    processors: int = 1
    shard_rows: int = SHARD_ROWS

    def extractor(self, resume: bool) -> Extractor:
        """What makes the store. Raises InputError as it does."""
        from earthclip.training.extract import Extractor

        how = {"views": self.views, "seed": self.seed, "shard_rows": self.shard_rows}
        return Extractor(self.photos, self.backbone, Path(self.output), resume=resume, **how)


class FeatureWorker(BlockWorker):
    """Makes shards of features, each of which is a block."""

    def __init__(self, job: ExtractionJob, attempts: Any = None) -> None:
        self._job = job
        super().__init__(job.processors, attempts)

    def open(self) -> None:
        """The backbone, in as many threads as are this worker's own."""
        import torch

        torch.set_num_threads(self._job.processors)
        # Refuses photos and a backbone that are not those of the store, whatever this machine has by their names.
        self._extractor = self._job.extractor(resume=True)

    def make(self, block: int, pieces: Any) -> tuple[int, list[str]]:
        """One shard. Its photos' faults are kept in it."""
        ((_, failed),) = self._extractor.write([block], self._job.processors)
        ids = self._job.photos.ids
        return len(self._extractor.photos_of(block)), [f"{ids[row]}: {why}" for row, why in failed.items()]


def extract_on_cluster(job: ExtractionJob, *, resume: bool, workers: int | None, processors: int | None) -> None:
    """Make what is missing of the store, with ``workers`` of ``processors`` each; None: what fits.

    The store is begun here, so that what a user cannot have (another store's folder) is said before any worker starts.
    """
    from earthclip.cli.cluster_run import watch
    from earthclip.cli.status import Pace
    from earthclip.cluster.run import answer_on_cluster, import_ray

    import_ray()
    begun = job.extractor(resume)
    missing = begun.missing
    done = len(job.photos) - sum(len(begun.photos_of(shard)) for shard in missing)
    blocks = [import_pyarrow().table({"block": [shard]}) for shard in missing]
    running = answer_on_cluster(FeatureWorker, job, blocks, workers, processors)
    watch(running, Pace(len(job.photos), done), done, told=lambda shard: None)  # failures are told of the whole store

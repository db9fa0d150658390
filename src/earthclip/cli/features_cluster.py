"""``earthclip features --engine ray``: shards of one store of features, made by the machines of a cluster."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthclip.cli.status import Pace, StatusLine, say
from earthclip.datasets.features import SHARD_ROWS
from earthclip.errors import EarthCLIPError

if TYPE_CHECKING:
    from earthclip.datasets.photos import PhotoSet
    from earthclip.training.extract import Extractor


@dataclass(frozen=True, eq=False)
class ExtractionJob:
    """What every worker is told once; ``folder`` and ``backbone`` are paths that all machines reach."""

    photos: PhotoSet
    backbone: Path
    folder: Path
    views: int
    seed: int
    processors: int = 1
    shard_rows: int = SHARD_ROWS

    def extractor(self, resume: bool) -> Extractor:
        """What makes the store. Raises InputError as it does."""
        from earthclip.training.extract import Extractor

        options = {"views": self.views, "seed": self.seed, "shard_rows": self.shard_rows}
        return Extractor(self.photos, self.backbone, self.folder, resume=resume, **options)


class FeatureWorker:
    """Makes shards of features; called by Ray Data with a shard's number, gives one row of what came of it.

    Faults that concern the whole run are returned and not raised: Ray would try them again.
    """

    def __init__(self, job: ExtractionJob) -> None:
        import torch

        from earthclip.batch.cluster.output import OutputFolder

        self._job, self._fault = job, None
        torch.set_num_threads(job.processors)
        try:
            self._output = OutputFolder(str(job.folder))
            # Refuses photos and a backbone that are not those of the store, whatever this machine has by their names.
            self._extractor = job.extractor(resume=True)
        except (EarthCLIPError, OSError) as error:
            self._fault = f"{type(error).__name__}: {error}"

    def __call__(self, pieces: Any) -> Any:
        """Make one shard; the row is a BlockDone and, when the run cannot go on, its fault."""
        import pyarrow

        shard, fault = int(pieces.column("block")[0].as_py()), self._fault
        photos = failures = lost = 0
        if fault is None:
            try:
                lost = self._output.begin_block(shard)
                for _, failed in self._extractor.write([shard], self._job.processors):
                    failures = len(failed)
                photos = len(self._extractor.photos_of(shard))
                self._output.end_block(shard)
            except (EarthCLIPError, OSError) as error:
                fault = f"{type(error).__name__}: {error}"
        told = pyarrow.array([[]], pyarrow.list_(pyarrow.string()))  # all reasons are in the store
        counts = {"block": [shard], "answered": [photos - failures], "failed": [failures], "lost": [lost]}
        return pyarrow.table(counts | {"errors": told, "fault": pyarrow.array([fault], pyarrow.string())})


def extract_on_cluster(job: ExtractionJob, *, resume: bool, workers: int | None, processors: int | None) -> None:
    """Make what is missing of the store, with ``workers`` of ``processors`` each; None: what fits.

    The store is begun here, so that what a user cannot have (another store's folder) is said before any worker starts.
    """
    from earthclip.batch.cluster.run import answer_on_cluster
    from earthclip.outputs.geoparquet import import_pyarrow

    begun = job.extractor(resume)
    missing = begun.missing
    tables = [import_pyarrow().table({"block": [shard]}) for shard in missing]
    notes = job.folder / "_earthclip"
    shutil.rmtree(notes, ignore_errors=True)  # who tried what in a run that was ended counts for nothing in this one
    notes.mkdir()
    status, total = StatusLine(), len(job.photos)
    done = total - sum(len(begun.photos_of(shard)) for shard in missing)
    pace = Pace(total, done)
    # Nothing of ours goes there; Ray tells of lost workers on it, and cannot be asked not to.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        running = answer_on_cluster(FeatureWorker, job, tables, workers, processors)
        with contextlib.closing(running):  # type: ignore[type-var]
            for shard in running:
                if shard.lost:
                    status.clear()
                    say(f"shard {shard.block}: done by worker {shard.lost + 1}, as those before it were lost")
                done += shard.answered + shard.failed
                status.show(pace.text(done))
    status.clear()
    shutil.rmtree(notes, ignore_errors=True)

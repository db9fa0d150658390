"""What ``earthclip cluster locate`` and ``embed`` do, and what they say meanwhile."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from earthclip.cli import INTERRUPTED
from earthclip.cli.answering import BATCH_SIZES, introduce_models
from earthclip.cli.status import Pace, StatusLine, duration, note, say
from earthclip.errors import EarthCLIPError, InputError
from earthclip.pictures.finding import STDIN, check_list, each_picture, read_list
from earthclip.pictures.kinds import PassedOver, read_suffixes
from earthclip.pictures.prepare import Failure

if TYPE_CHECKING:
    from earthclip.cli.answering import Ask
    from earthclip.cluster.output import OutputFolder
    from earthclip.cluster.run import BlockDone
    from earthclip.cluster.workers import Job, ModelWorker

_MOST_TOLD = 20  # faults that are listed one by one


@dataclass(frozen=True)
class ClusterRun:
    """Where the answers go and how the work is shared out; None: what fits."""

    output: str
    resume: bool
    force: bool
    workers: int | None
    worker_cpus: int | None
    block_size: int | None
    column: str | None = None

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> ClusterRun:
        """The run that options ask for, which leave ``given``."""
        return cls(**{field.name: given.pop(field.name) for field in fields(cls) if field.name in given})


def locate_on_cluster(ask: Ask, pictures: tuple[str, ...], listed: Path | None, run: ClusterRun) -> int:
    """Locate pictures; returns the exit code."""
    from earthclip.cluster.workers import LocateWorker
    from earthclip.locating.locator import load

    locator = load(ask.model, runtime=ask.runtime, precision=ask.precision)
    if not run.resume:  # what cannot be asked is said before anything is begun
        locator.check(ask.question)
    if len(locator.asked(ask.question)) == 1:
        ask = replace(ask, model=replace(ask.model, first=None))
    return _run_pictures(LocateWorker, ask, ask.options, pictures, listed, run)


def embed_images_on_cluster(ask: Ask, pictures: tuple[str, ...], listed: Path | None, run: ClusterRun) -> int:
    """Embed pictures; returns the exit code."""
    from earthclip.cluster.workers import ImageEmbeddingWorker

    options = {name: ask.options[name] for name in ("views", "runtime", "precision", "draft")}
    return _run_pictures(ImageEmbeddingWorker, ask, options, pictures, listed, run)


def embed_places_on_cluster(ask: Ask, table: str, run: ClusterRun) -> int:
    """Embed the coordinates of Parquet tables; returns the exit code."""
    from earthclip.cluster.blocks import TABLE_SUFFIXES, is_table
    from earthclip.cluster.workers import LocationEmbeddingWorker
    from earthclip.locating.locator import load

    def tables() -> Iterator[str | Failure]:
        for item in _inputs((table,), None, TABLE_SUFFIXES):
            if isinstance(item, Failure):
                raise InputError(item.error)
            if not is_table(item):
                raise InputError(f"{item}: 'earthclip cluster embed places' reads Parquet; write it as .parquet")
            yield item

    # Named only where it is not what it always was, so that runs begun before there was a choice can be resumed.
    precision = {} if ask.precision == "auto" else {"precision": ask.precision}
    locator = load(ask.model.source, runtime=ask.runtime, precision=ask.precision)
    encoder = str(locator.open_location_encoder())
    asked = {**_asked_of((table,), None), "runtime": ask.runtime, **precision, "location_encoder": encoder}
    return _run(LocationEmbeddingWorker, _job(ask, run, encoder=encoder), ask, asked, tables, run)


def _run_pictures(
    worker: type[ModelWorker],
    ask: Ask,
    options: Mapping[str, object],
    pictures: tuple[str, ...],
    listed: Path | None,
    run: ClusterRun,
) -> int:
    from earthclip.cluster.output import OutputFolder
    from earthclip.models.fastest import choose

    if listed:
        check_list(listed)
    # A run that goes on keeps what it began with, whatever is the fastest by now.
    before = OutputFolder(run.output).before("image_encoder") if run.resume and run.output != "-" else None
    chosen = (choose(folder, ask.runtime, ask.precision, many=True) for folder in ask.model.folders())
    encoder = before or "; ".join(map(str, chosen))
    batch_size = BATCH_SIZES[ask.question.views]
    job = _job(ask, run, encoder=encoder, question=ask.question, draft=ask.draft, batch_size=batch_size)
    asked = {**_asked_of(pictures, listed), "column": run.column, **options, "image_encoder": encoder}
    return _run(worker, job, ask, asked, lambda: _inputs(pictures, listed), run)


def _job(ask: Ask, run: ClusterRun, **options: Any) -> Job:
    from earthclip.cluster.output import OutputFolder
    from earthclip.cluster.workers import Job
    from earthclip.models.sources import HUB_PREFIX, list_models
    from earthclip.outputs.journal import header

    if run.output == "-":
        raise InputError("-o -: a cluster writes a folder of files, not standard output; name a folder or address")
    folders = ask.model.folders()
    source = str(ask.model.source)
    by_name = source.startswith(HUB_PREFIX) or source in {model.name for model in list_models()}
    return Job(
        source=source if by_name else str(folders[-1].path.resolve()),
        first=ask.model.first,
        output=OutputFolder(run.output).where,
        fingerprint=str(header([folder.config for folder in folders], {})["fingerprint"]),
        base=os.fspath(Path.cwd()),
        runtime=ask.runtime,
        precision=ask.precision,
        column=run.column,
        **options,
    )


def _run(
    worker: type[ModelWorker],
    job: Job,
    ask: Ask,
    asked: Mapping[str, object],
    inputs: Callable[[], Iterator[str | Failure]],
    run: ClusterRun,
) -> int:
    from earthclip.cluster.blocks import plan
    from earthclip.cluster.output import OutputFolder
    from earthclip.cluster.run import import_ray, on_ray
    from earthclip.locating.locator import load
    from earthclip.outputs.journal import header

    import_ray()
    locator, output = load(ask.model, runtime=ask.runtime, precision=ask.precision), OutputFolder(job.output)
    with contextlib.ExitStack() as stack:

        def planned() -> Any:
            blocks = plan(inputs(), run.block_size or worker.block_size, job.base)
            stack.enter_context(on_ray())  # the folder is not touched before there is a cluster
            return blocks

        described = header([model.config for model in locator.models], {"task": worker.task, **asked})
        stack.callback(output.release)
        blocks = output.begin(described, planned, resume=run.resume, force=run.force)
        job = replace(job, run=output.run)
        introduce_models(locator, ask, cautioned=worker.task != "locate")
        try:
            return _follow(worker, job, blocks, output, run)
        except KeyboardInterrupt as error:
            say(f"interrupted: {len(output.done()):,} blocks are kept in {output.where}; continue with --resume")
            raise click.exceptions.Exit(INTERRUPTED) from error
        except EarthCLIPError:
            output.withdraw()
            raise


def _follow(worker: type[ModelWorker], job: Job, blocks: Any, output: OutputFolder, run: ClusterRun) -> int:
    """Have the blocks made that are missing, and tell of them; returns the exit code."""
    from earthclip.cluster.blocks import blocks_of
    from earthclip.cluster.run import answer_on_cluster

    began = time.monotonic()
    done = output.done() if run.resume else set()
    missing = blocks_of(blocks, done)
    total = sum(blocks.column("rows").to_pylist())
    earlier = total - sum(sum(block.column("rows").to_pylist()) for block in missing)
    answered = failed = 0

    def told(block: BlockDone) -> None:
        nonlocal answered, failed
        for position, error in enumerate(block.errors, start=failed):
            if position < _MOST_TOLD:
                say(f"error: {error}")
        answered, failed = answered + block.answered, failed + block.failed

    watch(answer_on_cluster(worker, job, missing, run.workers, run.worker_cpus), Pace(total, earlier), earlier, told)
    output.finish()
    if not missing:
        note(f"{output.where}: all {total:,} were answered by an earlier run; nothing is left to do")
        return 0
    if failed > _MOST_TOLD:
        say(f"error: {failed - _MOST_TOLD:,} more; they are in the column error")
    before = f", {earlier:,} before by the interrupted run" if earlier else ""
    seconds = time.monotonic() - began
    note(f"{output.where}: {answered:,} answered, {failed:,} failed{before}, {duration(seconds)}")
    return 2 if not answered + earlier else 1 if failed else 0


def watch(running: Generator[BlockDone, None, None], pace: Pace, done: int, told: Callable[[BlockDone], None]) -> None:
    """Call ``told`` with each finished block, and show the user how many rows are done; ``done`` were before."""
    status = StatusLine()
    # Nothing of ours goes there; Ray tells of lost workers on it, and cannot be asked not to.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.closing(running):
        try:
            for block in running:
                if block.lost or block.errors:
                    status.clear()
                if block.lost:
                    say(f"block {block.block}: done by worker {block.lost + 1}, as those before it were lost")
                told(block)
                done += block.answered + block.failed
                status.show(pace.text(done))
        finally:
            status.clear()


def _inputs(
    arguments: tuple[str, ...], listed: Path | None, suffixes: Collection[str] | None = None
) -> Iterator[str | Failure]:
    """Files as given, those in folders and at addresses, then those of the list.

    Addresses in a list are taken as they are: to look for each of a million would take longer than to fetch them.
    """
    from earthclip.cluster.storage import find, is_address, local_path

    passed_over = PassedOver()

    def in_list(path: Path) -> Iterator[str | Path | Failure]:
        for name in read_list(path):
            names = [name] if "://" in name else each_picture([Path(name)], None, passed_over, suffixes, literal=True)
            yield from names

    def found() -> Iterator[str | Path | Failure]:
        for given in map(local_path, arguments):
            if given == STDIN:
                yield from in_list(Path(STDIN))
            elif is_address(given):
                yield from find(given, suffixes or read_suffixes(), passed_over)
            else:
                yield from each_picture([Path(given)], None, passed_over, suffixes)
        if listed is not None:
            yield from in_list(listed)

    for item in found():
        if isinstance(item, Failure):
            yield item
        elif "/_earthclip/" not in (name := os.fspath(item)):  # of the folder of an earlier run, which has a table
            yield name
    if passed_over and suffixes is None:
        note(str(passed_over))


def _asked_of(inputs: tuple[str, ...], listed: Path | None) -> dict[str, object]:
    """The inputs as they were given, with the folder where any are relative: elsewhere they are others."""
    from earthclip.cluster.storage import is_address, local_path

    absolute = all(is_address(given) or Path(local_path(given)).is_absolute() for given in inputs) and not listed
    lists = [f"--list {listed}"] if listed else []
    # Without the slash that a folder may end in, as earlier versions noted it.
    names = [given.rstrip("/") if "://" in given else os.fspath(Path(given)) for given in inputs]
    return {"inputs": [*names, *lists], "folder": None if absolute else os.fspath(Path.cwd())}

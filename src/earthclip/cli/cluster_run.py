"""What ``earthclip cluster locate`` and ``embed`` do, and what they say meanwhile."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from earthclip.cli import INTERRUPTED
from earthclip.cli.answering import BATCH_SIZES, introduce
from earthclip.cli.formats import as_given
from earthclip.cli.status import Pace, StatusLine, duration, note, say
from earthclip.errors import EarthCLIPError, InputError
from earthclip.pictures.finding import check_list, each_picture
from earthclip.pictures.kinds import PassedOver
from earthclip.pictures.prepare import Failure

if TYPE_CHECKING:
    from earthclip.cli.answering import Ask
    from earthclip.cluster.output import OutputFolder
    from earthclip.cluster.run import BlockDone
    from earthclip.cluster.workers import Job
    from earthclip.models.folder import ModelFolder

_BLOCK = {"locate": 256, "embeddings": 256, "embed": 8192}  # a minute's work or less, which a lost worker repeats
_MOST_TOLD = 20  # faults that are told one by one


@dataclass(frozen=True)
class ClusterRun:
    """Where the answers go and how the work is shared out; None: what fits."""

    output: Path
    resume: bool
    force: bool
    workers: int | None
    processors: int | None
    block_size: int | None
    column: str | None = None


def locate_on_cluster(ask: Ask, arguments: tuple[Path, ...], listed: Path | None, run: ClusterRun) -> int:
    """Locate pictures; returns the exit code."""
    from earthclip.locating.locator import load

    if not run.resume:  # what cannot be asked is said before anything is begun
        load(ask.model.source, runtime=ask.runtime, precision=ask.precision).check(ask.question)
    return _run_pictures("locate", ask, ask.options, arguments, listed, run)


def embed_images_on_cluster(ask: Ask, arguments: tuple[Path, ...], listed: Path | None, run: ClusterRun) -> int:
    """Embed pictures; returns the exit code."""
    options = {name: ask.options[name] for name in ("views", "runtime", "precision", "draft")}
    return _run_pictures("embeddings", ask, options, arguments, listed, run)


def embed_places_on_cluster(ask: Ask, table: Path, run: ClusterRun) -> int:
    """Embed the coordinates of Parquet tables; returns the exit code."""
    from earthclip.cluster.blocks import is_table
    from earthclip.models.sources import resolve

    folder = resolve(ask.model.source)
    job = _job(folder, ask, run)

    def tables() -> Iterator[str | Failure]:
        for item in _inputs((table,), None, (".parquet", ".pq")):
            if isinstance(item, Failure):
                raise InputError(item.error)
            if not is_table(item):
                raise InputError(f"{item}: 'earthclip cluster embed places' reads Parquet; write it as .parquet")
            yield item

    # Named only where it is not what it always was, so that runs begun before there was a choice can be resumed.
    precision = {} if ask.precision == "auto" else {"precision": ask.precision}
    asked = {**_asked_of((table,), None, job), "runtime": ask.runtime, **precision}
    return _run("embed", job, folder, ask, asked, tables, run)


def _run_pictures(
    task: str,
    ask: Ask,
    options: Mapping[str, object],
    arguments: tuple[Path, ...],
    listed: Path | None,
    run: ClusterRun,
) -> int:
    from earthclip.models.sources import resolve

    if listed:
        check_list(listed)
    folder = resolve(ask.model.source)
    job = _job(
        folder,
        ask,
        run,
        column=run.column,
        question=ask.question,
        draft=ask.draft,
        batch_size=BATCH_SIZES[ask.question.views],
    )
    asked = {**_asked_of(arguments, listed, job), "column": run.column, **options}
    return _run(task, job, folder, ask, asked, lambda: _inputs(arguments, listed), run)


def _job(folder: ModelFolder, ask: Ask, run: ClusterRun, **options: Any) -> Job:
    from earthclip.cluster.output import OutputFolder
    from earthclip.cluster.workers import Job
    from earthclip.models.sources import HUB_PREFIX, list_models
    from earthclip.outputs.journal import header

    if run.output == Path("-"):
        raise InputError("-o -: a cluster writes a folder of files, not standard output; name a folder or address")
    source = str(ask.model.source)
    by_name = source.startswith(HUB_PREFIX) or source in {model.name for model in list_models()}
    return Job(
        source=source if by_name else str(folder.path.resolve()),
        output=OutputFolder(as_given(run.output)).where,
        fingerprint=str(header(folder.config, {})["fingerprint"]),
        base=os.fspath(Path.cwd()),
        runtime=ask.runtime,
        precision=ask.precision,
        **options,
    )


def _run(
    task: str,
    job: Job,
    folder: ModelFolder,
    ask: Ask,
    asked: Mapping[str, object],
    inputs: Callable[[], Iterator[str | Failure]],
    run: ClusterRun,
) -> int:
    from earthclip.cluster.blocks import blocks_of, plan
    from earthclip.cluster.output import OutputFolder
    from earthclip.cluster.run import import_ray, on_ray
    from earthclip.outputs.journal import header

    import_ray()
    output = OutputFolder(job.output)
    size = run.block_size or _BLOCK[task]
    with contextlib.ExitStack() as stack:

        def planned() -> Any:
            blocks = plan(inputs(), size, job.base)
            stack.enter_context(on_ray())  # what stands in the folder is not touched before there is a cluster
            return blocks

        asked_of_model = header(folder.config, {"task": task, **asked})
        made = output.begin(asked_of_model, planned, resume=run.resume, force=run.force)
        done = output.done() if run.resume else set()
        introduce(folder, ask)
        if folder.config.caution and task == "locate":
            say(f"caution: {folder.config.caution}")
        rows = made.column("rows").to_numpy()
        earlier = int(rows[[number in done for number in made.column("block").to_pylist()]].sum())
        try:
            return _follow(task, job, made, blocks_of(made, done), earlier, output, run)
        except KeyboardInterrupt as error:
            say(f"interrupted: {len(output.done()):,} blocks are kept in {output.where}; continue with --resume")
            raise click.exceptions.Exit(INTERRUPTED) from error
        except EarthCLIPError:
            output.withdraw()
            raise


def _follow(
    task: str, job: Job, made: Any, blocks: Iterable[Any], earlier: int, output: OutputFolder, run: ClusterRun
) -> int:
    """Tell of the blocks as they are written; returns the exit code."""
    from earthclip.cluster.run import answer_on_cluster

    began = time.monotonic()
    pace = Pace(int(made.column("rows").to_numpy().sum()), earlier)
    answered = failed = 0

    def told(block: BlockDone) -> None:
        nonlocal answered, failed
        for position, error in enumerate(block.errors, start=failed):
            if position < _MOST_TOLD:
                say(f"error: {error}")
        answered, failed = answered + block.answered, failed + block.failed

    watch(answer_on_cluster(task, job, blocks, run.workers, run.processors), pace, earlier, told)
    output.finish()
    if failed > _MOST_TOLD:
        say(f"error: {failed - _MOST_TOLD:,} more; they are in the column error")
    before = f", {earlier:,} before by the interrupted run" if earlier else ""
    seconds = time.monotonic() - began
    note(f"{output.where}: {answered:,} answered, {failed:,} failed{before}, {duration(seconds)}")
    return 2 if not answered + earlier else 1 if failed else 0


def watch(running: Generator[BlockDone, None, None], pace: Pace, done: int, told: Callable[[BlockDone], None]) -> None:
    """Tell ``told`` of blocks as they come, and the user how many of all rows; ``done`` were before."""
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
    arguments: tuple[Path, ...], listed: Path | None, suffixes: Collection[str] | None = None
) -> Iterator[str | Failure]:
    from earthclip.cluster.storage import find, local_path
    from earthclip.pictures.kinds import read_suffixes

    for argument in arguments:
        given = local_path(as_given(argument))
        found = find(given, suffixes or read_suffixes()) if "://" in given else _paths((Path(given),), None, suffixes)
        yield from (item for item in found if isinstance(item, Failure) or "/_earthclip/" not in item)
    if listed is not None:
        yield from _paths((), listed, suffixes)


def _paths(
    arguments: tuple[Path, ...], listed: Path | None, suffixes: Collection[str] | None
) -> Iterator[str | Failure]:
    # Addresses in a list are taken as they are: to look for each of a million would take longer than to fetch them.
    passed_over = PassedOver()
    for picture in each_picture(arguments, listed, passed_over, suffixes):
        yield picture if isinstance(picture, Failure) else as_given(picture)
    if passed_over and suffixes is None:
        note(str(passed_over))


def _asked_of(arguments: tuple[Path, ...], listed: Path | None, job: Job) -> dict[str, object]:
    """The inputs as they were given, with the folder where any are relative: elsewhere they are others."""
    from earthclip.cluster.storage import is_address, local_path

    inputs = [as_given(argument) for argument in arguments]
    absolute = all(is_address(given) or Path(local_path(given)).is_absolute() for given in inputs) and not listed
    lists = [f"--list {listed}"] if listed else []
    return {"inputs": [*inputs, *lists], "folder": None if absolute else job.base}

"""A model at work for many clients: photos decoded in processes ahead of it, encoded in small batches, in turn."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float64
from PIL import Image

from earthclip.locating.locator import Locator
from earthclip.locating.prediction import Prediction
from earthclip.locating.question import Question
from earthclip.models.config import IMAGE_ENCODER, TEXT_ENCODER
from earthclip.models.sources import label_of
from earthclip.outputs.drawing import to_answer
from earthclip.outputs.structured import dumps
from earthclip.pictures.prepare import Failure, Prepared
from earthclip.pictures.reader import Limits, Named, Reader
from earthclip.server.contract import LocateForm, Model, Refusal
from earthclip.server.meters import Meters
from earthclip.server.settings import Settings

_Outcome: TypeAlias = Prediction | Failure
_Value = TypeVar("_Value")

_DECODING_S = 20.0  # for one photo; 100 megapixels of JPEG 2000 take 6 s
_DECODER_MB, _BYTES_A_PIXEL = 300, 20  # what a decoder may take; RGB takes 4 bytes a pixel, 16-bit grey 18
_SMALLEST = b"P6 1 1 255\n\0\0\0"  # a picture of one pixel


@dataclass(frozen=True, eq=False)
class _Job:
    question: Question
    photo: Prepared
    outcome: asyncio.Future[_Outcome]


class Service:
    """A model with its queue. ``start`` it, ask it from one event loop, ``close`` it.

    Raises InputError for an index of the settings that cannot be used.

    Everybody is served in the order they came. While one batch of photos is encoded, others are decoded and make the
    next one, so that batches grow with the load.
    """

    def __init__(self, locator: Locator, settings: Settings | None = None) -> None:
        self.locator = locator
        self.settings = settings or Settings()
        self.meters = Meters()
        self._references = Question(index=self.settings.index).indices
        self._models = locator.asked(Question(index=self._references))
        self.label = label_of(model.name for model in self._models)
        self._opened: Future[None] | None = None
        self._closed = False
        self._inside = 0  # items let in and not answered yet
        self._decoding = 0
        self._jobs: deque[_Job] = deque()
        self._encoding: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()  # of the model; first come, first served
        workers, preprocessing = self.settings.decoders, locator.config.preprocessing
        memory_mb = _DECODER_MB + int(_BYTES_A_PIXEL * self.settings.max_megapixels)
        limits = Limits(_DECODING_S, memory_mb, self.settings.max_pixels)
        self._reader = None
        if preprocessing is not None:
            self._reader = Reader(preprocessing, workers=workers, limits=limits, also=locator.also(self._models))
        self._reading = ThreadPoolExecutor(workers, thread_name_prefix="reading")  # each thread waits for a process
        self.meters.watch("waiting", "Items let in and not answered yet.", lambda: self._inside)
        self.meters.watch("ready", "1 when questions are answered.", lambda: float(self.ready))

    @property
    def ready(self) -> bool:
        """Whether the model is open and questions are answered."""
        opened = self._opened
        return opened is not None and opened.done() and opened.exception() is None and not self._closed

    def start(self) -> Future[None]:
        """Begin to open the model in a thread, once. The future is done when it is open, or could not be opened."""
        self._opened = self._opened or _in_thread(self._open)
        return self._opened

    def close(self) -> None:
        """Let nothing more in, and end the decoders."""
        self._closed = True
        if self._reader is not None:
            self._reader.close()
        self._reading.shutdown(wait=False, cancel_futures=True)

    def models(self) -> list[Model]:
        """The models, as GET /v1/models describes them."""
        return [
            Model(
                name=model.name,
                default=model is self.locator,
                pictures=model.folder.has(IMAGE_ENCODER),
                words=model.folder.has(TEXT_ENCODER),
                caution=model.config.caution,
                places=len(model.folder.gallery_coordinates()),
                prior=model.config.prior,
            )
            for model in self._models
        ]

    async def locate(self, form: LocateForm) -> str:
        """The JSON of the answers, one for each photo in order, or one for the text alone.

        Raises Refusal where there is no room, and when not one of the photos can be read.
        """
        with self._room(max(len(form.photos), 1)):
            question = (await asyncio.to_thread(form.question)).with_fields({"index": self._references})
            if form.photos:
                files = [Named(f"photo {number}", content) for number, content in enumerate(form.photos, 1)]
                outcomes = await asyncio.gather(*(self._locate(file, question) for file in files))
            else:
                async with self._turn:
                    outcomes = [*await asyncio.to_thread(self.locator.locate_text, [form.text], question)]
            first = outcomes[0]
            if isinstance(first, Failure) and all(isinstance(outcome, Failure) for outcome in outcomes):
                raise Refusal(413 if first.too_large else 422, first.error)
            return await asyncio.to_thread(self._written, outcomes, form.outlines, form.surface)

    async def embed(self, coordinates: Float64[np.ndarray, "n 2"]) -> str:
        """The JSON of the unit embeddings of coordinates in degrees."""
        with self._room(1):
            async with self._turn:
                rows = await asyncio.to_thread(self.locator.encode_location, coordinates)
            rounded = np.round(rows.astype(np.float64), 7)
            return await asyncio.to_thread(lambda: dumps({"model": self.locator.name, "embeddings": rounded.tolist()}))

    async def _locate(self, file: Named, question: Question) -> _Outcome:
        if self._reader is None:
            raise Refusal(422, f"model '{self.locator.name}' takes no photos; see /v1/models")
        self._decoding += 1
        try:
            photo = await asyncio.get_running_loop().run_in_executor(self._reading, self._reader.read, file)
        finally:
            self._decoding -= 1
        if isinstance(photo, Failure):
            self.meters.pictures.labels("refused").inc()
            return photo
        job = _Job(question, photo, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        if self._encoding is None or self._encoding.done():
            self._encoding = asyncio.create_task(self._encode())
        outcome = await job.outcome
        self.meters.pictures.labels("located").inc()
        return outcome

    async def _encode(self) -> None:
        """Encode the photos that wait, a batch at a time, until none does."""
        size = self.settings.batch_size
        while self._jobs:
            if self._decoding and len(self._jobs) < size:
                await asyncio.sleep(self.settings.wait_ms / 1000)
            batches: dict[tuple[object, ...], list[_Job]] = {}  # of jobs that ask the same
            for job in [self._jobs.popleft() for _ in range(min(size, len(self._jobs)))]:
                if not job.outcome.done():  # it is, where nobody waits for the answer any more
                    batches.setdefault(tuple(job.question.options.items()), []).append(job)
            for jobs in batches.values():
                async with self._turn:
                    photos = [job.photo for job in jobs]
                    work = asyncio.wrap_future(_in_thread(self._work, jobs[0].question, photos))
                    await asyncio.wait([work])
                fault = work.exception()
                for position, job in enumerate(jobs):
                    if job.outcome.done():
                        continue
                    if fault is None:
                        job.outcome.set_result(work.result()[position])
                    else:
                        job.outcome.set_exception(fault)

    def _work(self, question: Question, photos: list[Prepared]) -> list[_Outcome]:
        began = time.perf_counter()
        self.meters.batch.observe(len(photos))
        try:
            return list(self.locator.answers(photos, question, batch_size=len(photos)))
        finally:
            self.meters.encoding.inc(time.perf_counter() - began)

    def _written(self, outcomes: Sequence[_Outcome], outlines: bool, surface: bool) -> str:
        answers = [
            {"path": None, "error": outcome.error}  # the path of a failure is the photo's number
            if isinstance(outcome, Failure)
            else to_answer(outcome, outlines=outlines, surface=surface)
            for outcome in outcomes
        ]
        return dumps({"model": self.label, "answers": answers})

    @contextlib.contextmanager
    def _room(self, items: int) -> Iterator[None]:
        """Room for ``items`` while the block runs; raises Refusal (503, 429) at once where there is none."""
        if not self.ready:
            raise Refusal(503, "the server is starting or ending; try again in a second", retry_after_s=1)
        if self._inside + items > self.settings.max_waiting:
            message = f"{self._inside} pictures are waiting already; try again in a second"
            raise Refusal(429, message, retry_after_s=1)
        self._inside += items
        try:
            yield
        finally:
            self._inside -= items

    def _open(self) -> None:
        """Open the model, and do once all that the first client would wait for."""
        for index in self._references:
            index.check_model(self.locator.folder)
        if self._reader is not None:
            for _ in range(self.settings.decoders):
                self._reading.submit(self._reader.read, Named("warm-up", _SMALLEST))
        self.locator.warm_up(models=self._models)
        outcomes: list[_Outcome] = []
        grey = Image.new("RGB", (1, 1), "grey")
        for model in self._models:
            if model.folder.has(IMAGE_ENCODER):
                if len(model.models) > 1:  # the other may answer
                    model.encode_image([grey])
                outcomes += model.answers([grey], top_k=1, force_answer=True)
        _in_thread(self._written, outcomes, True, True)  # whoever asks whether the model is ready need not wait


def _in_thread(function: Callable[..., _Value], *arguments: Any) -> Future[_Value]:
    """Call ``function`` in a thread of its own. Unlike a pool's, it does not keep the process from ending."""
    future: Future[_Value] = Future()

    def call() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:  # raised where the future is awaited
            future.set_exception(error)

    threading.Thread(target=call, name=function.__name__, daemon=True).start()
    return future

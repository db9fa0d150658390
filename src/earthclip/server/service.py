"""None"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float32, Float64

from earthclip.errors import InputError
from earthclip.locating.locator import Locator
from earthclip.locating.prediction import Prediction
from earthclip.models.config import IMAGE_ENCODER, TEXT_ENCODER
from earthclip.outputs.drawing import to_answer
from earthclip.pictures.decode import TooManyPixelsError
from earthclip.pictures.prepare import Failure, Prepared, prepare
from earthclip.pictures.preprocess import Preprocessing
from earthclip.server.batching import Batcher
from earthclip.server.meters import Meters
from earthclip.server.questions import Question
from earthclip.server.refusal import Refusal
from earthclip.server.settings import Settings


def decode_bytes(content: bytes, preprocessing: Preprocessing, where: str, max_pixels: int) -> Prepared:
    """The picture whose file is ``content``, prepared as ``earthclip locate`` prepares it; ``where`` names it.

    Raises Refusal: 413 for one of more than ``max_pixels``, 422 for what is not a picture or damaged.
    """
    try:
        return prepare(content, preprocessing, where=where, max_pixels=max_pixels)
    except TooManyPixelsError as error:
        raise Refusal(413, str(error)) from None
    except InputError as error:
        raise Refusal(422, str(error)) from None


_Result = TypeVar("_Result")
_Key: TypeAlias = tuple[Literal["photo", "words", "places"], Question]
_Item: TypeAlias = "Prepared | np.ndarray | None"  # of a photo, coordinates, or words alone
_Answer: TypeAlias = "Prediction | Failure | Float32[np.ndarray, 'n d']"


class Service:
    """A model with its threads. ``start`` it, ask it from an event loop, ``close`` it."""

    def __init__(self, locator: Locator, settings: Settings | None = None) -> None:
        self.locator = locator
        self.settings = settings or Settings()
        self.meters = Meters()
        self._batcher: Batcher[_Key, _Item, _Answer] = Batcher(
            self._work,
            batch_size=self.settings.batch_size,
            wait_s=self.settings.wait_ms / 1000,
            capacity=self.settings.max_waiting,
            open_first=self._open,
        )
        self._pool = ThreadPoolExecutor(self.settings.decoders, thread_name_prefix="decoder")
        self.meters.watch("waiting", "Items let in and not answered yet.", lambda: self._batcher.inside)
        self.meters.watch("ready", "1 when questions are answered.", lambda: float(self.ready))

    @property
    def ready(self) -> bool:
        """Whether the model is open and questions are answered."""
        return self._batcher.ready

    @property
    def opened(self) -> Any:
        """A concurrent Future that is done when the model is open, or could not be opened."""
        return self._batcher.opened

    def start(self) -> None:
        """Begin to open the model, in the encoder's thread; again: nothing."""
        self._batcher.start()

    def close(self) -> None:
        """Answer what is queued, then end the threads."""
        self._batcher.close(self.settings.shutdown_s)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def models(self) -> list[dict[str, Any]]:
        """The model, as GET /v1/models tells of it."""
        folder, config = self.locator.folder, self.locator.config
        return [
            {
                "name": config.name,
                "default": True,
                "pictures": folder.has(IMAGE_ENCODER),
                "words": folder.has(TEXT_ENCODER),
                "caution": config.caution,
                "places": len(folder.gallery_coordinates()),
                "prior": config.prior,
            }
        ]

    async def in_pool(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call ``function`` in a decoder's thread, off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    async def locate(self, question: Question, photos: Sequence[bytes]) -> list[dict[str, Any]]:
        """One answer for each photo, in order, or one for the words alone.

        Raises Refusal where there is no room, and when not one of the photos can be read.
        """
        with self._batcher.room(max(len(photos), 1)):
            if not photos:
                return [await self._ask(question, None)]
            answers = await asyncio.gather(
                *(self._photo(question, photo, f"photo {number}") for number, photo in enumerate(photos, 1)),
                return_exceptions=True,
            )
        faults = [answer for answer in answers if isinstance(answer, BaseException)]
        if len(faults) == len(answers) or any(not isinstance(fault, Refusal) for fault in faults):
            raise next((fault for fault in faults if not isinstance(fault, Refusal)), faults[0])
        return [to_answer(Failure(None, str(a))) if isinstance(a, BaseException) else a for a in answers]

    async def embed(self, coordinates: Float64[np.ndarray, "n 2"]) -> list[list[float]]:
        """Unit embeddings of coordinates in degrees."""
        with self._batcher.room(1):
            rows = await asyncio.wrap_future(self._batcher.submit(("places", Question()), coordinates))
        assert isinstance(rows, np.ndarray)
        return await self.in_pool(lambda: np.round(rows.astype(np.float64), 7).tolist())

    async def _photo(self, question: Question, photo: bytes, where: str) -> dict[str, Any]:
        preprocessing = self.locator.config.preprocessing
        if preprocessing is None:
            raise Refusal(422, f"model '{self.locator.name}' takes no photos; see /v1/models")
        try:
            prepared = await self.in_pool(decode_bytes, photo, preprocessing, where, self.settings.max_pixels)
        except Refusal:
            self.meters.pictures.labels("refused").inc()
            raise
        answer = await self._ask(question, prepared)
        self.meters.pictures.labels("located").inc()
        return answer

    async def _ask(self, question: Question, item: Prepared | None) -> dict[str, Any]:
        key: _Key = ("photo" if item else "words", question.asked)
        prediction = await asyncio.wrap_future(self._batcher.submit(key, item))
        assert isinstance(prediction, Prediction | Failure)
        return await self.in_pool(lambda: to_answer(prediction, outlines=question.outlines, surface=question.surface))

    def _open(self) -> None:
        self.locator.warm_up()
        preprocessing = self.locator.config.preprocessing
        if preprocessing is not None and self.locator.folder.has(IMAGE_ENCODER):
            # The first pass makes the runtime's arenas, the first answer loads names of places and geometry: no client
            # should wait for the one, nor readiness for the other.
            grey = np.zeros((1, 3, preprocessing.size, preprocessing.size), np.float32)
            (prediction,) = self.locator.locate([Prepared(grey, None)], 1)
            self._pool.submit(to_answer, prediction, surface=True)

    def _work(self, key: _Key, items: list[_Item]) -> Sequence[_Answer]:
        kind, question = key
        began = time.perf_counter()
        self.meters.batch.observe(len(items))
        try:
            if kind == "places":
                return [self.locator.encode_location(item) for item in items if isinstance(item, np.ndarray)]
            if kind == "words":
                assert question.text is not None  # app.py asks for photos or words
                return self.locator.locate_text([question.text], question.top_k, region=question.region) * len(items)
            pictures = [item for item in items if isinstance(item, Prepared)]
            size = len(pictures)
            return list(self.locator.locate(pictures, question.top_k, size, text=question.text, region=question.region))
        finally:
            self.meters.encoding.inc(time.perf_counter() - began)

"""The encoders of a model folder, each opened when first needed and then kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from earthclip.models import Precision, Runtime
from earthclip.models.config import LOCATION_PHASES, TEXT_ENCODER, TOKENIZER
from earthclip.models.encoders import Encoder, LocationEncoder, Tokenizer
from earthclip.models.fastest import Choice, choose
from earthclip.models.folder import ModelFolder
from earthclip.models.measured import EncoderKind
from earthclip.models.onnx_runtime import has_gpu
from earthclip.models.race import measure_missing


class OpenedEncoders:
    """The encoders of one model, run as ``runtime`` and ``precision`` say; safe to share between threads.

    Every method raises ModelError for an encoder that the model does not have or that cannot be opened.
    """

    def __init__(self, folder: ModelFolder, runtime: Runtime, precision: Precision) -> None:
        self.folder = folder
        self.runtime: Runtime = runtime
        self.precision: Precision = precision
        self._many = False  # inputs to come, for which a slower start pays
        self._lock = threading.RLock()
        self._image_choice: Choice | None = None
        self._images: Encoder | None = None
        self._texts: tuple[Tokenizer, Encoder] | None = None
        self._places: LocationEncoder | None = None

    @property
    def image_choice(self) -> Choice:
        """What the image encoder runs on, as long as this object lives."""
        with self._lock:
            if self._image_choice is None:
                self._image_choice = choose(self.folder, self.runtime, self.precision, many=self._many)
            return self._image_choice

    def pin(self, image_choice: Choice) -> None:
        """Run the image encoder as this says; before it is first used."""
        with self._lock:
            self._image_choice = image_choice

    def measure_missing(self, told: Callable[[str], None], encoders: Sequence[EncoderKind]) -> None:
        """Prepare for many inputs: measure, once, what runs the encoders fastest here, if "auto" may choose."""
        with self._lock:
            self._many = True
            if self.runtime == self.precision == "auto" and self._image_choice is None:
                measure_missing(self.folder, told, encoders)

    def images(self) -> Encoder:
        """What encodes pictures."""
        with self._lock:
            if self._images is None:
                self._images = self.image_choice.open(self.folder.config.embedding_size)
            return self._images

    def texts(self) -> tuple[Tokenizer, Encoder]:
        """What encodes texts. Raises MissingExtraError without the extra ``text``."""
        with self._lock:
            if self._texts is None:
                path, size = self.folder.file(TEXT_ENCODER), self.folder.config.embedding_size
                encoder = Encoder(path, size, "tokens", gpu=has_gpu())
                words = self.folder.config.words
                assert words is not None  # open_folder has checked it
                self._texts = Tokenizer(self.folder.file(TOKENIZER), words.length, words.pad_id), encoder
            return self._texts

    def places(self) -> LocationEncoder:
        """What encodes coordinates."""
        with self._lock:
            if self._places is None:
                phases = self.folder.file(LOCATION_PHASES) if self.folder.has(LOCATION_PHASES) else None
                choice = choose(self.folder, self.runtime, self.precision, "places")
                self._places = LocationEncoder(
                    phases,
                    choice.path,
                    self.folder.config.embedding_size,
                    runtime=choice.runtime,
                    precision=choice.precision,
                    threads=choice.threads,
                    gpu=choice.gpu,
                )
            return self._places

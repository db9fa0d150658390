"""Chooses what an encoder runs on: the fastest runtime and precision measured here that keep its embeddings.

``models/race.py`` measures, when nobody waits, and its record is read here. Without one, a rule by processor decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from earthclip.errors import MissingExtraError, ModelError
from earthclip.files import home
from earthclip.models import Precision, Runtime, openvino
from earthclip.models.config import IMAGE_ENCODER, IMAGE_ENCODER_INT8, LOCATION_ENCODER, LOCATION_PHASES
from earthclip.models.encoders import Encoder
from earthclip.models.folder import ModelFolder
from earthclip.models.measured import EncoderKind, Record, Row, has_flag, known_cosine, read_record
from earthclip.models.onnx_runtime import has_gpu

# Of embeddings with float32's, for a precision nobody asked for.
LOWEST_COSINE = 0.999
LOWEST_COSINES: Mapping[EncoderKind, float] = {"image": LOWEST_COSINE, "places": 0.9999}
PICTURES = Path(__file__).parent / "pictures"  # that embeddings are compared on
MOST_MOVED, MOVED_KM, LEAST_PICTURES = 0.01, 25.0, 100  # pictures whose first place int8 may move, and how far
# Without these, products of int8 gain little: they are summed in 16 bits, which they would overflow.
_SUMS_INT8 = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp")


@dataclass(frozen=True)
class Choice:
    """A graph, what it runs on and how exactly it computes; ``threads`` None is one for each processor."""

    path: Path
    runtime: Runtime
    precision: Precision
    gpu: bool = False
    threads: int | None = None

    def __str__(self) -> str:
        """What decides the digits, such as "image_encoder.onnx, run by openvino in bfloat16"."""
        return f"{self.path.name}, run by {self.runtime} in {self.precision}{' on CUDA' if self.gpu else ''}"

    def open(self, embedding_size: int, cache: Path | None = None) -> Encoder:
        """The image encoder itself; ``cache`` is where what is made of it is kept. Raises ModelError."""
        return Encoder(
            self.path,
            embedding_size,
            runtime=self.runtime,
            precision=self.precision,
            cache=cache or home() / "graphs",
            threads=self.threads,
            gpu=self.gpu,
        )


def choose(
    folder: ModelFolder,
    runtime: Runtime = "auto",
    precision: Precision = "auto",
    encoder: EncoderKind = "image",
    *,
    many: bool = False,
) -> Choice:
    """What runs the encoder of pictures, or that of places, of a model; "auto" is the fastest that keeps embeddings.

    That is what was measured on this machine, see ``race.measure``. Where nothing was, float32 is chosen, on OpenVINO
    where that is installed and the graph is large, or a precision that was measured to keep the embeddings and that
    this processor multiplies in. Small graphs run on ONNX Runtime, which starts faster, unless ``many`` inputs are to
    come. Raises ModelError for what the model or the processor does not have, MissingExtraError without OpenVINO
    where it is asked for.
    """
    asked = runtime == "openvino" or precision in ("bfloat16", "float16")
    here = candidates(folder, encoder, least=0 if asked else openvino.SMALL if many else openvino.HEAVY)
    record = read_record(encoder, files_of(folder, encoder))
    fits = [one for one in here if runtime in ("auto", one.runtime) and precision in ("auto", one.precision)]
    if not fits:
        return _asked(folder, runtime, precision, encoder)
    if record:
        lowest = LOWEST_COSINES[encoder]
        chosen = record.rows[record.chosen]
        int8 = int8_allowed(folder)
        rows = [row for row in record.rows if precision != "auto" or may_be_chosen(row, lowest, int8=int8)]
        for row in sorted(rows, key=lambda row: (row is not chosen, row.alone_ms or inf)):  # all were timed so
            choice = choice_of(row, folder)
            if row.fault is None and replace(choice, threads=None) in fits:
                return choice
    return by_processor(folder, fits, encoder)


def candidates(folder: ModelFolder, encoder: EncoderKind, *, least: int | None = None) -> list[Choice]:
    """Every runtime and precision that this machine has for an encoder, with a thread for each processor.

    Those of OpenVINO, whose start takes a third of a second, only for graphs of ``least`` bytes or more [1 MB].
    """
    path = folder.file(IMAGE_ENCODER if encoder == "image" else LOCATION_ENCODER)
    found = [Choice(path, "onnxruntime", "float32")]
    if has_gpu():
        found.insert(0, Choice(path, "onnxruntime", "float32", gpu=True))
    if encoder == "places" and not folder.has(LOCATION_PHASES):
        return found  # the phases, thousands of radians, are in the graph, and must not see low precision
    openvino_here = path.stat().st_size >= (openvino.SMALL if least is None else least) and openvino.here()
    if openvino_here:
        precisions: list[Precision] = ["bfloat16", "float16"]
        fast = [Choice(path, "openvino", one) for one in precisions if openvino.multiplies(one)]
        found += [Choice(path, "openvino", "float32"), *fast]
    if encoder == "image" and folder.has(IMAGE_ENCODER_INT8):
        int8 = Choice(folder.file(IMAGE_ENCODER_INT8), "onnxruntime", "int8")
        found += [int8, replace(int8, runtime="openvino")] if openvino_here else [int8]
    return found


def by_processor(folder: ModelFolder, fits: list[Choice], encoder: EncoderKind) -> Choice:
    """The one of ``fits`` that is likely the fastest, of those whose embeddings are known to be float32's."""
    files, lowest = files_of(folder, encoder), LOWEST_COSINES[encoder]

    def rank(choice: Choice) -> tuple[bool, ...]:
        low = choice.precision != "float32"
        if choice.precision == "int8":
            kept = int8_allowed(folder) and has_flag(*_SUMS_INT8)
        else:
            kept = not low or known_cosine(encoder, files, choice.precision) >= lowest
        by_openvino = choice.runtime == "openvino"
        return kept, choice.gpu, choice.precision == "int8", low, by_openvino == openvino.pays(choice.path)

    return max(fits, key=rank)


def files_of(folder: ModelFolder, encoder: EncoderKind) -> list[Path]:
    """The files that an encoder consists of."""
    names = (IMAGE_ENCODER, IMAGE_ENCODER_INT8) if encoder == "image" else (LOCATION_PHASES, LOCATION_ENCODER)
    return [folder.file(name) for name in names if folder.has(name)]


def choice_of(row: Row, folder: ModelFolder) -> Choice:
    """What a row of a record is about."""
    return Choice(folder.path / row.file, row.runtime, row.precision, row.gpu, row.threads)


def chosen_in(record: Record, folder: ModelFolder) -> Choice:
    """What a record says is the fastest."""
    return choice_of(record.rows[record.chosen], folder)


def may_be_chosen(row: Row, lowest_cosine: float, *, int8: bool) -> bool:
    """Whether a row may be taken where nobody asked for its precision; ``int8`` as ``int8_allowed`` says."""
    if row.fault is not None or row.lowest_cosine is None or row.lowest_cosine < lowest_cosine:
        return False
    return int8 or row.precision != "int8"


def int8_allowed(folder: ModelFolder) -> bool:
    """Whether the pictures that a model's int8 was measured on allow it to be taken where nobody asked for it."""
    found = folder.config.int8
    return (
        found.get("lowest_cosine", 0.0) >= LOWEST_COSINE
        and found.get("moved_of", 0.0) >= LEAST_PICTURES
        and found.get("moved", 1.0) <= MOST_MOVED
    )


def read_choice(text: str, folder: ModelFolder) -> Choice | None:
    """What a run wrote of its choice of an image encoder with ``str``; None where that is not on this machine."""
    for choice in candidates(folder, "image", least=0):
        if str(choice) == text:
            measured = choose(folder, choice.runtime, choice.precision)  # it knows how many threads are best
            return measured if str(measured) == text else choice
    return None


def _asked(folder: ModelFolder, runtime: Runtime, precision: Precision, encoder: EncoderKind) -> Choice:
    """Why what was asked for is not among the candidates, as an error that says what is."""
    name = folder.config.name
    if precision == "int8" and not (encoder == "image" and folder.has(IMAGE_ENCODER_INT8)):
        if encoder == "places":  # int8 is of pictures; places are encoded as they would be without it
            return choose(folder, runtime, "auto", encoder)
        raise ModelError(f"model '{name}' has no int8; run earthclip model quantize {name} --pictures DIR")
    if encoder == "places" and not folder.has(LOCATION_PHASES):
        return candidates(folder, encoder)[0]
    if precision in ("bfloat16", "float16") and runtime == "onnxruntime":
        raise ModelError(f"ONNX Runtime does not support {precision}; leave out --runtime, or use --precision float32")
    if not openvino.here():
        raise MissingExtraError("running on OpenVINO", "openvino", "openvino")
    here = ", ".join(sorted({choice.precision for choice in candidates(folder, encoder, least=0)}))
    raise ModelError(f"this processor does not support {precision}; leave --precision out, or use one of {here}")

"""One of the sides that ``speed.py`` compares, held ready in a process of its own: ours, or the published package.

A process of its own gives each its own peak memory and its own threads. This file is run in either environment; it
reads one question a line, as JSON, and writes one answer a line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from published import OFFLINE, exact_embeddings, keep_gallery, load_geoclip, seconds

KIB = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts in


class UnavailableError(Exception):
    """What was asked for does not exist here; the message is the reason."""


class Side:
    """A process that answers ``ask(method, *arguments)``, ``kind`` being a class below."""

    def __init__(self, python: str | Path, kind: str, home: Path, **options: Any) -> None:
        """Raises UnavailableError when the side says that it cannot be."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [str(python), __file__, kind, json.dumps(options)],
            env=os.environ | OFFLINE | {"EARTHCLIP_HOME": str(home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            self._answer()
        except UnavailableError:
            self.close()
            raise

    def ask(self, method: str, *arguments: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([method, *arguments]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> float:
        """Its peak memory in MB, pages of mapped files included."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._process.stdout.close()
        self._errors.close()
        return usage.ru_maxrss * KIB / 1e6

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            print(self._errors.read().decode(errors="replace"), file=sys.stderr)
            raise SystemExit(f"{' '.join(map(str, self._process.args))} ended; its last words are above")
        answer = json.loads(line)
        if "error" in answer:
            raise UnavailableError(answer["error"])
        return answer["value"]


# What runs there.


def warmed(work: Callable[[], object]) -> float:
    """Seconds of a call right after another: while the others had their turn, threads and caches went cold."""
    work()
    return seconds(work)


class Ours:
    def __init__(self, model: str, runtime: str | None = None, precision: str | None = None) -> None:
        import earthclip

        given = {"runtime": runtime, "precision": precision}
        chosen: Any = {name: value for name, value in given.items() if value}
        self.locator = earthclip.load(model, **chosen)

    def locate(self, path: str) -> float:
        return warmed(lambda: list(self.locator.locate([path], top_k=5)))

    def chosen(self) -> list[str]:
        """Runtime and precision of the image encoder."""
        choice = self.locator.image_choice
        return [choice.runtime, choice.precision]

    def keeps_embeddings(self) -> list[list[str]]:
        """Runtimes and precisions that may be chosen by themselves, by what was measured here."""
        from earthclip.models.fastest import LOWEST_COSINE, files_of, int8_allowed, may_be_chosen
        from earthclip.models.measured import read_record

        folder = self.locator.folder
        self.locator.measure_speed()
        record = read_record("image", files_of(folder, "image"))
        assert record is not None
        rows = [row for row in record.rows if may_be_chosen(row, LOWEST_COSINE, int8=int8_allowed(folder))]
        return [[row.runtime, row.precision] for row in rows]

    def prepare(self, paths: list[str]) -> float:
        """Seconds of one core to read and preprocess a picture."""
        from earthclip.pictures.prepare import prepare

        preprocessing = self.locator.config.preprocessing
        assert preprocessing is not None
        started = time.thread_time()
        for path in paths:
            prepare(path, preprocessing)
        return (time.thread_time() - started) / len(paths)

    def encode(self, path: str, batch: int) -> float:
        """Seconds of the image encoder for a picture, in a batch of them."""
        from earthclip.pictures.prepare import prepare

        preprocessing = self.locator.config.preprocessing
        assert preprocessing is not None
        pictures: list[Any] = [prepare(path, preprocessing)] * batch
        return warmed(lambda: self.locator.encode_image(pictures, batch_size=batch)) / batch

    def gallery(self) -> float:
        """Seconds until the gallery is there, of which no part was before."""
        return seconds(lambda: self.locator.gallery)

    def places(self, coordinates: str, save: str) -> float:
        points, found = np.load(coordinates), []
        taken = seconds(lambda: found.append(self.locator.encode_location(points)))
        np.save(save, found[0])
        return taken


class Published:
    def __init__(self, clip: str, kept: bool) -> None:
        import torch

        torch.set_num_threads(os.cpu_count() or 1)
        self.model = load_geoclip(Path(clip))
        self._seconds = seconds  # encoding the gallery, it waits for nothing else
        if kept:
            keep_gallery(self.model)
            self._seconds = warmed

    def locate(self, path: str) -> float:
        return self._seconds(lambda: self.model.predict(path, top_k=5))


class PublishedPlaces:
    """Its location encoder alone."""

    def __init__(self) -> None:
        import torch
        from geoclip import LocationEncoder

        torch.set_num_threads(os.cpu_count() or 1)
        self.encoder = LocationEncoder().eval()

    def places(self, coordinates: str, chunk: int) -> float:
        import torch

        points = torch.from_numpy(np.load(coordinates)).float()
        with torch.no_grad():
            return seconds(lambda: [self.encoder(part) for part in points.split(chunk)])

    def exactly(self, coordinates: str, save: str) -> None:
        np.save(save, exact_embeddings(np.load(coordinates)).astype(np.float32))


class Arrays:
    """What needs arrays; the process that compares has none, since those it starts inherit its peak memory."""

    def least_cosine(self, one: str, other: str) -> float:
        least = np.inf
        mapped = np.load(one, mmap_mode="r"), np.load(other, mmap_mode="r")
        for start in range(0, len(mapped[0]), 8192):
            a, b = (rows[start : start + 8192].astype(np.float64) for rows in mapped)
            lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
            least = min(least, ((a * b).sum(axis=1) / lengths).min())
        return float(least)

    def places(self, count: int, save: str) -> None:
        """Coordinates uniform on the sphere."""
        rng = np.random.default_rng(0)
        latitude = np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
        np.save(save, np.stack([latitude, rng.uniform(-180, 180, count)], axis=1))

    def photos(self, folder: str, count: int, size: list[int]) -> list[str]:
        from photos import make_photos

        return [str(path) for path in make_photos(Path(folder), count, (size[0], size[1]))]

    def unit_rows(self, count: int, width: int, save: str) -> None:
        rng = np.random.default_rng(0)
        made = np.lib.format.open_memmap(save, "w+", np.float16, (count, width))
        for start in range(0, count, 8192):
            rows = rng.standard_normal((min(8192, count - start), width), np.float32)
            made[start : start + 8192] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        made.flush()


class Search:
    """Exact queries of ``count`` places in a gallery mapped from a file."""

    def __init__(self, rows: str, coordinates: str, count: int) -> None:
        from earthclip.locating.gallery import Gallery

        self.gallery = Gallery(np.load(coordinates)[:count], np.load(rows, mmap_mode="r")[:count], "of no model")
        query = np.random.default_rng(1).standard_normal((1, self.gallery.embeddings.shape[1]), np.float32)
        self.row = query / np.linalg.norm(query)

    def query(self) -> float:
        return warmed(self._query)

    def memory(self) -> float:
        """MB that one query allocates at its peak, beyond the map."""
        import tracemalloc

        tracemalloc.start()
        self._query()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak / 1e6

    def _query(self) -> None:
        from earthclip.locating.posterior import Posterior

        (logits,) = self.gallery.logits(self.row, logit_scale=2.66)
        Posterior.from_logits(self.gallery.coordinates, logits).top_k(5)


KINDS = {kind.__name__: kind for kind in (Ours, Published, PublishedPlaces, Arrays, Search)}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer

    def answer(**content: Any) -> None:
        print(json.dumps(content), file=answers, flush=True)

    try:
        side = KINDS[sys.argv[1]](**json.loads(sys.argv[2]))
        answer(value=None)
        for line in sys.stdin:
            method, *arguments = json.loads(line)
            answer(value=getattr(side, method)(*arguments))
    except Exception as error:
        if "EarthCLIPError" not in {kind.__name__ for kind in type(error).__mro__}:
            traceback.print_exc()
            raise SystemExit(1) from error
        answer(error=str(error))


if __name__ == "__main__":
    main()

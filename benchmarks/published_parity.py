"""Whether this package and the published one (geoclip 1.3.0) give the same numbers, and which is faster.

python benchmarks/published_parity.py [--clip-size none|tiny|large] [--speed] [--json FILE]
python benchmarks/published_parity.py --golden tests/data/published_location_embeddings.json

The published package runs in a virtual environment of its own, made once; ours in the environment of this command,
which needs the extra `train` to convert the weights. A target that is missed makes the exit code 1. Longer than 300
lines, since both sides stand in the one file that is run in either environment.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from published import (
    OFFLINE,
    ROOT,
    VERSION,
    WHEEL_SHA256,
    WORK,
    load_geoclip,
    published_embeddings,
    published_python,
    run,
    save_random_clip,
    seconds,
    versions,
)

RUNS = 3

# Longitude +180 is -180 here, and lies on the other edge of the published map: it is not compared.
PLACES = {
    "origin": (0.0, 0.0),
    "a tenth of a metre from it": (0.000001, -0.000001),
    "north pole": (90.0, 0.0),
    "north pole, by another meridian": (90.0, 77.0),
    "north pole, at the antimeridian": (90.0, -180.0),
    "south pole": (-90.0, 0.0),
    "antimeridian at the equator": (0.0, -180.0),
    "antimeridian, Chukotka": (66.0, -180.0),
    "antimeridian from the west, Fiji": (-16.8, 179.99998),
    "Greenwich": (51.4779, 0.0),
    "Quito": (-0.1807, -78.4678),
    "New York": (40.7128, -74.006),
    "Los Angeles": (34.0522, -118.2437),
    "Reykjavik": (64.1466, -21.9426),
    "Paris": (48.8566, 2.3522),
    "Nairobi": (-1.2921, 36.8219),
    "Cape Town": (-33.9249, 18.4241),
    "Delhi": (28.6139, 77.209),
    "Tokyo": (35.6762, 139.6503),
    "Sydney": (-33.8688, 151.2093),
    "Ushuaia": (-54.8019, -68.303),
    "Longyearbyen": (78.2232, 15.6267),
    "McMurdo": (-77.8419, 166.6863),
    "Point Nemo": (-48.8767, -123.3933),
}


@dataclass(frozen=True)
class Row:
    """One line of the answer; without a target it only informs."""

    what: str
    measured: str
    target: str = ""
    passed: bool | None = None

    @property
    def verdict(self) -> str:
        return {None: "", True: "ok", False: "**missed**"}[self.passed]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--venv", type=Path, metavar="DIR", help="environment of the published package [WORK/venv]")
    parser.add_argument("--python", type=Path, metavar="PATH", help="an interpreter that has geoclip, instead")
    parser.add_argument("--count", type=int, default=100_000, help="of random coordinates")
    parser.add_argument("--clip-size", choices=("none", "tiny", "large"), default="large", help="of the random CLIP")
    parser.add_argument("--speed", action="store_true", help="time it too; nothing else should compute meanwhile")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--golden", type=Path, metavar="FILE", help="only write the values that tests compare with")
    parser.add_argument("--inside", choices=TASKS, help=argparse.SUPPRESS)  # in the published environment
    args = parser.parse_args()
    work, size = args.work.resolve(), args.clip_size
    if args.inside:
        TASKS[args.inside](work, size)
        return 0

    work.mkdir(parents=True, exist_ok=True)
    published = Published(args.python or published_python(args.venv or work / "venv"), work, size)
    about = json.loads(published.run("about"))
    if about["geoclip"] != VERSION:
        raise SystemExit(f"expected geoclip {VERSION}, found {about['geoclip']}")
    if args.golden:
        published.run("golden")
        shutil.copyfile(work / "golden.json", args.golden)
        print(f"{args.golden}: {len(PLACES)} places")
        return 0

    os.environ["EARTHCLIP_HOME"] = str(work / f"home-{size}")
    np.save(work / "coordinates.npy", coordinates(args.count))
    if size != "none" and not (work / f"clip-{size}" / "preprocessor_config.json").exists():
        published.run("clip")
    options = ["--location-only"] if size == "none" else ["--clip", str(work / f"clip-{size}")]
    pull = [sys.executable, "-m", "earthclip", "model", "pull", "geoclip", "--force"]
    run([*pull, "--from", about.pop("folder"), *options])
    parts = [compare_locations] + [compare_images] * (size != "none") + [compare_speed] * args.speed
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    clip_used = "no CLIP" if size == "none" else f"CLIP {size} with random weights"
    print(", ".join([machine, *(f"{name} {version}" for name, version in about.items()), clip_used]))
    print("\n| what | measured | target | |\n|---|---:|---:|---|")
    rows = []
    for part in parts:
        for row in part(published):
            print(f"| {row.what} | {row.measured} | {row.target} | {row.verdict} |", flush=True)
            rows.append(row)
    if args.json:
        found = {"machine": machine, "clip": clip_used, **about, "rows": [asdict(row) for row in rows]}
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return int(any(row.passed is False for row in rows))


def coordinates(count: int) -> np.ndarray:
    """The named places, then random ones uniform on the sphere; float64, and each exactly a float32 as well."""
    generator = np.random.default_rng(0)
    latitude = np.degrees(np.arcsin(generator.uniform(-1, 1, count)))
    random = np.stack([latitude, generator.uniform(-180, 179.999, count)], axis=1)
    return np.concatenate([list(PLACES.values()), random]).astype(np.float32).astype(np.float64)


# What is compared, in the environment of this command.


def compare_locations(published: Published) -> list[Row]:
    import earthclip

    published.run("location")
    points, theirs = np.load(published.work / "coordinates.npy"), unit(np.load(published.work / "location.npy"))
    rows = []
    onnx = earthclip.load("geoclip", runtime="onnxruntime", precision="float32").encode_location(points)
    for name, embeddings, target in (("torch", torch_embeddings(points), 1e-5), ("ONNX", onnx, 1e-3)):
        apart = np.abs(embeddings - theirs).max(axis=1)
        what, worst = f"location embeddings, {name}", points[apart.argmax()]
        rows += [
            at_most(f"{what}: max abs difference of {len(points):,} unit vectors", apart.max(), target),
            Row(f"{what}: where it is largest", f"{worst[0]:.4f}, {worst[1]:.4f}"),
            at_most(f"{what}: at the poles, the antimeridian, 0, cities", apart[: len(PLACES)].max(), target),
            at_least(f"{what}: least cosine", cosines(embeddings, theirs).min(), 0.9999),
        ]
    return rows


def torch_embeddings(points: np.ndarray) -> np.ndarray:
    import torch

    from earthclip.nn import LocationEncoder

    encoder = LocationEncoder.from_pretrained("geoclip")
    with torch.no_grad():
        return unit(torch.cat([encoder(part) for part in torch.from_numpy(points).float().split(4096)]).numpy())


def compare_images(published: Published) -> list[Row]:
    import earthclip
    from earthclip.pictures.decode import decode
    from earthclip.pictures.preprocess import preprocess

    published.run("image")
    theirs = np.load(published.work / f"image-{published.clip_size}.npz")
    pictures, places = theirs["pictures"].tolist(), theirs["gallery"].astype(np.float64)
    locator = earthclip.load("geoclip", runtime="onnxruntime", precision="float32")
    preprocessing = locator.config.preprocessing
    pixels = np.stack([preprocess(decode(path), preprocessing) for path in pictures])
    levels = np.abs(pixels - theirs["pixels"]) * np.array(preprocessing.std)[:, None, None] * 255
    embeddings = locator.encode_image(pictures)
    # The phases of the ONNX graph differ from torch's in the last bits of float32, 1e-3 at the finest scale, and the
    # gallery on disk is float16: logits as they run are not held to 1e-4, but to the same answers.
    logits = np.exp(locator.config.logit_scale) * embeddings @ torch_embeddings(places).T
    running = locator.gallery.logits(embeddings, locator.config.logit_scale)
    answers = list(locator.locate(pictures, top_k=5))

    def farthest(found: np.ndarray) -> float:
        return float(np.abs(found - theirs["logits"]).max())

    moved = [np.abs(a.coordinates - b).max() for a, b in zip(answers, theirs["top_coordinates"], strict=True)]
    same = sum(distance < 1e-4 for distance in moved)
    chances = [np.abs(a.probabilities - b).max() for a, b in zip(answers, theirs["top_probabilities"], strict=True)]
    unlike = min(cosines(theirs["embeddings"], np.roll(theirs["embeddings"], n, axis=0)).min() for n in (1, 2))
    spread = np.ptp(theirs["logits"], axis=1).min()
    return [
        at_most(f"pixels of {len(pictures)} pictures: max difference, in levels of 255", levels.max(), 1.001),
        at_most("image embeddings: max abs difference", np.abs(embeddings - theirs["embeddings"]).max(), 1e-4),
        at_most(f"logits with {len(places):,} places, their embeddings by torch: likewise", farthest(logits), 1e-4),
        Row("logits as they run, places by ONNX and in float16: likewise", f"{farthest(running):.1e}"),
        Row(
            "top 5 of the gallery, in order", f"{same} of {len(pictures)} pictures", "all", bool(same == len(pictures))
        ),
        Row("probabilities of the top 5: max abs difference", f"{max(chances):.1e}"),
        Row("so that the above means something: cosine of the pictures most unlike", f"{unlike:.3f}"),
        Row("likewise: range of a picture's logits over the places, at least", f"{spread:.1f}"),
    ]


def compare_speed(published: Published) -> list[Row]:
    work = published.work
    table, out = work / "coordinates.csv", work / "features.npy"
    points = np.load(work / "coordinates.npy")[len(PLACES) :]
    np.savetxt(table, points, fmt="%.17g", delimiter=",", header="LAT,LON", comments="")
    # None in sys.modules makes an import fail: what runs here, runs where torch is not installed.
    block = "import sys; sys.modules.update(torch=None, transformers=None); "
    code = block + "from earthclip.cli import main; sys.exit(main())"
    embed = [sys.executable, "-c", code, "embed", "places", str(table), "--model", "geoclip", "-o", str(out)]
    ours, whole = [], []
    warm: dict[str, list[float]] = {}
    for _ in range(RUNS):  # in turns, so that what slows the machine slows both
        out.unlink(missing_ok=True)
        ours.append(seconds(lambda: run(embed)))
        whole.append(seconds(lambda: published.run("embed")))
        for way, taken in json.loads(published.run("speed")).items():
            warm.setdefault(way, []).append(taken)
    us, them = statistics.median(ours), statistics.median(whole)
    medians = {way: statistics.median(times) for way, times in warm.items()}
    theirs = np.load(work / "location.npy")[len(PLACES) :]
    return [
        *(Row(f"published encoder, loaded and warm, {way}", f"{median:.2f} s") for way, median in medians.items()),
        Row("published, whole process: import, read CSV, encode, save", f"{them:.2f} s"),
        Row("`earthclip embed`, whole process, torch out of reach", f"{us:.2f} s"),
        at_least("its least cosine with the published embeddings", cosines(np.load(out), theirs).min(), 0.9999),
        at_least("times as fast as the published encoder, the faster way", min(medians.values()) / us, 2.5),
        Row("times as fast, whole process for whole process", f"{them / us:.1f}"),
    ]


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return (unit(ours.astype(np.float64)) * unit(theirs.astype(np.float64))).sum(axis=1)


def at_most(what: str, found: float, target: float) -> Row:
    return Row(what, f"{found:.1e}", f"<= {target:.0e}", bool(found <= target))


def at_least(what: str, found: float, target: float) -> Row:
    return Row(what, f"{np.floor(found * 1e7) / 1e7:.8g}", f">= {target:g}", bool(found >= target))  # cut, not rounded


# The published package's environment.


@dataclass(frozen=True)
class Published:
    """An interpreter that has the published package; it runs this file's tasks, and sees no network."""

    python: Path
    work: Path
    clip_size: str

    def run(self, task: str) -> str:
        """What the task prints."""
        command = [str(self.python), __file__, "--work", str(self.work), "--clip-size", self.clip_size]
        return run([*command, "--inside", task], OFFLINE)


# What runs there, calling the package as its users do.


def about(work: Path, size: str) -> None:
    import geoclip

    folder = str(Path(geoclip.__file__).parent)
    print(json.dumps(versions("geoclip", "torch", "transformers", "pillow") | {"folder": folder}))


def location(work: Path, size: str) -> None:
    np.save(work / "location.npy", published_embeddings(np.load(work / "coordinates.npy")))


def embed(work: Path, size: str) -> None:
    import pandas

    table = pandas.read_csv(work / "coordinates.csv")
    np.save(work / "published_features.npy", published_embeddings(table[["LAT", "LON"]].to_numpy()))


def speed(work: Path, size: str) -> None:
    import torch
    from geoclip import LocationEncoder

    encoder = LocationEncoder().eval()
    points = torch.from_numpy(np.load(work / "coordinates.npy")[len(PLACES) :]).float()
    with torch.no_grad():
        encoder(points[:4096])
        at_once = seconds(lambda: encoder(points))
        chunked = seconds(lambda: [encoder(part) for part in points.split(4096)])
    print(json.dumps({"all at once": at_once, "4,096 at a time": chunked}))


def golden(work: Path, size: str) -> None:
    import geoclip
    import torch

    weights = Path(geoclip.__file__).parent / "model" / "weights" / "location_encoder_weights.pth"
    provenance = {
        "what": "LocationEncoder()(places), not normalised: norm and first 8 numbers; degrees, read as float32",
        "package": f"geoclip {VERSION}",
        "wheel_sha256": WHEEL_SHA256,
        "location_encoder_weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "torch": torch.__version__,
        "command": "python benchmarks/published_parity.py --golden tests/data/published_location_embeddings.json",
    }
    rows = published_embeddings(np.array(list(PLACES.values()))).astype(np.float64)
    lines = []
    for (name, (latitude, longitude)), row in zip(PLACES.items(), rows, strict=True):
        numbers = {"norm": round(float(np.linalg.norm(row)), 9), "first": [round(float(value), 9) for value in row[:8]]}
        lines.append(json.dumps({"name": name, "latitude": latitude, "longitude": longitude} | numbers))
    text = json.dumps(provenance, indent=2).removesuffix("\n}") + ',\n  "places": [\n    '
    (work / "golden.json").write_text(text + ",\n    ".join(lines) + "\n  ]\n}\n", encoding="utf-8")


def clip(work: Path, size: str) -> None:
    save_random_clip(work / f"clip-{size}", size)


def image(work: Path, size: str) -> None:
    import geoclip
    import torch
    from PIL import Image

    pictures = [*sorted((ROOT / "examples").glob("*.jpg")), Path(geoclip.__file__).parent / "images" / "Kauai.png"]
    model = load_geoclip(work / f"clip-{size}")
    with torch.no_grad():
        encoded = model.location_encoder(model.gps_gallery)
    model.location_encoder.forward = lambda places: encoded  # or each call below would encode the gallery again
    opened = [Image.open(path).convert("RGB") for path in pictures]
    pixels = torch.cat([model.image_encoder.preprocess_image(picture) for picture in opened])
    places, chances = zip(*(model.predict(str(path), 5) for path in pictures), strict=True)
    with torch.no_grad():
        found = {
            "pixels": pixels,
            "embeddings": torch.nn.functional.normalize(model.image_encoder(pixels), dim=1),
            "gallery": model.gps_gallery,
            "logits": model(pixels, model.gps_gallery),
            "top_coordinates": torch.stack(places),
            "top_probabilities": torch.stack(chances),
        }
    arrays = {name: tensor.numpy() for name, tensor in found.items()}
    np.savez(work / f"image-{size}.npz", pictures=np.array([str(path) for path in pictures]), **arrays)


TASKS = {task.__name__: task for task in (about, location, embed, speed, golden, clip, image)}


if __name__ == "__main__":
    sys.exit(main())

"""The benchmarks of the field as they lie on people's disks: which table, which columns, where the photos are.

Each is a declaration; docs/data.md shows the layouts. Addresses are for people, nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from earthclip.datasets.rows import Scan, scan_table
from earthclip.errors import InputError

_GEO_ESTIMATION = "https://github.com/TIBHannover/GeoEstimation"
_MUELLER_BUDACK = "Müller-Budack, Pustu-Iren, Ewerth: Geolocation Estimation of Photos, ECCV 2018"
_VO = "Vo, Jacobs, Hays: Revisiting IM2GPS in the Deep Learning Era, ICCV 2017"


@dataclass(frozen=True)
class Benchmark:
    """A published set of located photos. Its tables and folders are looked for in this order, in the folder given."""

    name: str  # as typed: NAME:FOLDER
    title: str
    photos: int | None  # as published; None where no source gives the number
    tables: tuple[str, ...]
    folders: tuple[str, ...]  # of the photos; the folder itself is looked into last
    address: str
    citation: str
    note: str = ""
    author: str | None = None  # the column of the photographers, where its name does not say so


BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            "mp16",
            "MP-16, Flickr photos to train on",
            4_723_695,
            ("mp16_places365.csv", "MP16_Pro_places365.csv", "MP16_Pro_filtered.csv", "mp16.csv"),
            ("images/mp16", "mp16", "images"),
            f"{_GEO_ESTIMATION}/releases (mp16_places365.csv, mp16_urls.csv)",
            "Larson et al.: The Benchmarking Initiative for Multimedia Evaluation, IEEE MultiMedia 2017",
            "some photos are no longer on Flickr, so that nobody has them all",
        ),
        Benchmark(
            "im2gps",
            "Im2GPS",
            237,
            ("im2gps_places365.csv", "im2gps.csv"),
            ("images/im2gps", "im2gps", "gps_query_imgs", "images"),
            f"http://graphics.cs.cmu.edu/projects/im2gps/ (photos), {_GEO_ESTIMATION} meta/ (table)",
            "Hays, Efros: IM2GPS: estimating geographic information from a single image, CVPR 2008",
        ),
        Benchmark(
            "im2gps3k",
            "Im2GPS3k",
            2_997,
            ("im2gps3k_places365.csv", "im2gps3k.csv", "im2gps3k_coordinates.csv"),
            ("images/im2gps3k", "im2gps3ktest", "im2gps3k", "images"),
            f"https://github.com/lugiavn/revisiting-im2gps/ (photos), {_GEO_ESTIMATION} meta/ (table)",
            _VO,
            "an early revision of the table has LAT and LON exchanged, and copies of it circulate",
        ),
        Benchmark(
            "yfcc4k",
            "YFCC4k",
            4_536,
            ("yfcc4k_places365.csv", "yfcc4k.csv"),
            ("images/yfcc4k", "yfcc4k", "images"),
            "https://github.com/lugiavn/revisiting-im2gps/",
            _VO,
            "some of its photographers are also in MP-16: --apart-from tells them apart",
        ),
        Benchmark(
            "yfcc26k",
            "YFCC26k (YFCC25600)",
            25_600,
            ("yfcc25600_places365.csv", "yfcc26k_places365.csv", "yfcc26k.csv"),
            ("images/yfcc25600", "yfcc25600", "yfcc26k", "images"),
            f"{_GEO_ESTIMATION}/releases (yfcc25600_places365.csv, yfcc25600_urls.csv)",
            _MUELLER_BUDACK,
            "some photos are no longer on Flickr",
        ),
        Benchmark(
            "gws15k",
            "GWS15k, street views spread evenly over the Earth",
            None,
            ("gws15k.csv", "GWS15k.csv", "gws15k_coordinates.csv"),
            ("images/gws15k", "gws15k", "images"),
            "its authors give the coordinates; the photos are not public",
            "Clark et al.: Where We Are and What We're Looking At, CVPR 2023",
            "about 15,000; without photos only its coordinates are of use",
        ),
        Benchmark(
            "osv5m",
            "OpenStreetView-5M, its test split (osv5m:FOLDER@train for the other)",
            210_122,
            ("test.csv", "test/test.csv"),
            ("images/test", "test/test", "test", "images"),
            "https://huggingface.co/datasets/osv5m/osv5m",
            "Astruc et al.: OpenStreetView-5M: The Many Roads to Global Visual Geolocation, CVPR 2024",
        ),
        Benchmark(
            "osv5m@train",
            "OpenStreetView-5M, its training split",
            4_894_685,
            ("train.csv", "train/train.csv"),
            ("images/train", "train/train", "train", "images"),
            "https://huggingface.co/datasets/osv5m/osv5m",
            "Astruc et al.: OpenStreetView-5M: The Many Roads to Global Visual Geolocation, CVPR 2024",
        ),
        Benchmark(
            "commons26",
            "commons26, photos of Wikimedia Commons from July 2026 on",
            5_561,
            ("benchmark.csv", "commons26.csv"),
            ("images",),
            "https://huggingface.co/datasets/kinghorton42/commons26",
            "kinghorton42/commons26 on Hugging Face, 2026",
            "its own headline gives the six continents equal weight; newer than the training data of most models",
            author="group",
        ),
    )
}


def find_benchmark(source: str) -> tuple[Benchmark, Path] | None:
    """The benchmark and the folder that ``NAME:FOLDER`` or ``NAME:FOLDER@split`` means; None for anything else."""
    name, colon, folder = source.partition(":")
    if not colon or name not in BENCHMARKS or not folder:
        return None
    inner, at, split = folder.rpartition("@")
    if at and f"{name}@{split}" in BENCHMARKS and not Path(folder).exists():
        return BENCHMARKS[f"{name}@{split}"], Path(inner)
    return BENCHMARKS[name], Path(folder)


def scan_benchmark(benchmark: Benchmark, root: Path, images: Path | None = None) -> Scan:
    """The photos of a benchmark in ``root``, or in ``images`` where those are elsewhere.

    Raises InputError when the folder or the table in it is missing.
    """
    table = table_of(benchmark, root)
    folder = next((root / name for name in benchmark.folders if (root / name).is_dir()), root)
    return scan_table(table, images or folder, benchmark.photos, f"{benchmark.name}:{root}", benchmark.author)


def table_of(benchmark: Benchmark, root: Path) -> Path:
    """The table of a benchmark in ``root``. Raises InputError when the folder or the table in it is missing."""
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; expected {benchmark.title}, from {benchmark.address}")
    table = next((root / name for name in benchmark.tables if (root / name).is_file()), None)
    if table is None:
        wanted = " or ".join(benchmark.tables[:2])
        raise InputError(f"{root}: expected {wanted} of {benchmark.title} in it; get it from {benchmark.address}")
    return table

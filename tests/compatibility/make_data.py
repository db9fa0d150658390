"""Make ``data/0.1.0``, with earthclip 0.1.0 as it was at commit a746046: how each file came to be.

python -m tests.compatibility.make_data FOLDER

FOLDER is made. The package and tests of that commit must be those that Python imports, and git must know the commits
of ``FORMS`` and ``WITHOUT_SUM``. On later versions it need not run: they have other names for commands and modules.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from earthclip.datasets.sources import open_photos
from earthclip.models.calibration import Calibration
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import earthclip
from earthclip.models.config import Words
from earthclip.training.extract import extract
from tests.compatibility.server_requests import replies
from tests.nn.tiny_clip import END, LENGTH, write_clip
from tests.server.running import running
from tests.tiny import WIDTH, save_graph, write_tiny_model

ROOT = Path(__file__).parents[2]
EXACT = ["--runtime", "onnxruntime", "--precision", "float32"]

# The commits that wrote config.json in each form before today's, and a key that the one before did not have.
FORMS = {
    "1c95f6e": {"caution": "for tests"},
    "ab1859c": {"lacks": {"words": "use another"}},
    "51c1976": {"phases_apart": True},
    "7c30977": {"int8": {"mean_cosine": 0.9995}},
}
WITHOUT_SUM = "faa789e"  # one of the commits whose checkpoints had no SHA-256

CONFIG = """name = "{name}"
steps = 8
batch_size = 6
threads = 1
precision = "float32"
log_every_steps = 1
checkpoint_every_steps = {every}
{more}
[model]
embedding_size = 8
{image}[model.location]
sigmas = [1.0, 8.0]
frequencies = 4
width = 8
depth = 1

[queue]
size = 10
[optimizer]
learning_rate = 1e-2
"""
COMPACT = "[model.image]\nimage_size = 16\nstem = 4\nchannels = [4, 6]\nblocks = [1, 1]\nreduced = 4\n"
FEATURES = '[features]\nfolder = "features"\nheld_out = 0.2\n[validation]\nspacing_km = 30.0\nevery_steps = 4\n'
PHOTOS = FEATURES.replace('[features]\nfolder = "features"', '[photos]\nsource = "pictures.csv"\nimages = "pictures"')
VIEWS = """[views]
texture_width = 360
[loss]
cells = 2
[validation]
imagery = ["etopo1"]
views = 6
spacing_km = 1000.0
every_steps = 4
"""
# Ctrl-C in the moment that a step is told. Versions without a way to end ended there, others after a checkpoint.
STOPPED = """import signal, sys
from pathlib import Path
from earthclip.training.config import read_training_config
from earthclip.training.loop import train

def say(line):
    if line.startswith(f"step {int(sys.argv[3]):6d}/"):
        signal.raise_signal(signal.SIGINT)

try:
    train(read_training_config(Path(sys.argv[1])), Path(sys.argv[2]), say=say)
except KeyboardInterrupt:
    pass
"""


def main() -> None:
    Path(sys.argv[1]).mkdir(parents=True)
    os.chdir(sys.argv[1])
    write_clip(Path("clip"))
    for part in (pictures, models, features, training, journals, cluster, outputs, server, names):
        print(part.__doc__, flush=True)
        part()
    for scrap in ("clip", "whole", "temporary", "examples"):
        shutil.rmtree(scrap, ignore_errors=True)


def pictures() -> None:
    """20 JPEGs of 24 x 18 pixels, one with a position and one cut short, and where they were taken; 40 places."""
    Path("pictures").mkdir()
    rng = np.random.default_rng(0)
    rows = ["IMG_ID,LAT,LON"]
    for i in range(20):
        coarse = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8))
        exif = Image.Exif()
        if i == 0:
            exif.get_ifd(0x8825).update({1: "N", 2: (45.0, 30.0, 0.0), 3: "E", 4: (6.0, 15.0, 0.0)})
        coarse.resize((24, 18), Image.Resampling.BICUBIC).save(f"pictures/{i:02}.jpg", exif=exif)
        rows.append(f"{i:02}.jpg,{rng.uniform(45, 47):.4f},{rng.uniform(5, 9):.4f}")
    Path("pictures/07.jpg").write_bytes(Path("pictures/07.jpg").read_bytes()[:400])
    Path("pictures.csv").write_text("\n".join(rows) + "\n")
    lat, lon = rng.uniform((-90, -180), (90, 180), (40, 2)).round(4).T
    table = pa.table({"name": [f"p{i}" for i in range(40)], "lat": lat, "lon": lon})
    pq.write_table(table, "places.parquet", row_group_size=16)
    lines = [f"p{i},{lat[i]},{lon[i]}" for i in range(40)]
    Path("places.csv").write_text("\n".join(["name,lat,lon", *lines]) + "\n")


def models() -> None:
    """A tiny calibrated model; one with words, views and int8; config.json in each older form; what they answered."""
    calibration = Calibration({"0.5": 0.6, "0.9": 0.95}, {"pictures": 20})
    write_tiny_model(Path("models/tiny"), temperature=1.5, calibration=calibration, caution="for tests")
    full = Path("models/full")
    full.mkdir()
    rng = np.random.default_rng(1)
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["found"], axis=0),
        helper.make_node("ReduceMean", ["found"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("LpNormalization", ["mean"], ["embedding"], axis=1, p=2),
    ]
    weights = [numpy_helper.from_array(rng.normal(size=(END + 1, WIDTH)).astype(np.float32), "table")]
    tokens = [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["b", LENGTH])]
    rows = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["b", WIDTH])]
    save_graph(full / "text_encoder.onnx", helper.make_graph(nodes, "text_encoder", tokens, rows, weights))
    shutil.copy("clip/tokenizer.json", full)
    write_tiny_model(full, "full", words=Words(LENGTH, END), views=("none", "flip", "ten-crop"))
    command("quantize", full, "--pictures", "pictures", "--force")
    for number, (commit, options) in enumerate(FORMS.items(), start=1):
        old = Path(f"whole/form-{number}")
        program = f"from tests.tiny import *; write_tiny_model(Path({str(old)!r}), temperature=1.5, **{options})"
        with earlier(commit) as environment:
            subprocess.run([sys.executable, "-c", program], check=True, env=environment)
        (old / "config.json").rename(f"models/form-{number}.json")
        for file in old.iterdir():
            assert file.read_bytes() == Path("models/tiny", file.name).read_bytes(), file
    for name, asked in (("tiny", ["pictures"]), ("full", ["pictures"]), ("text", ["--text", "snow over a volcano"])):
        folder = "models/tiny" if name == "tiny" else full
        how = ["locate", *asked, "--model", folder, *EXACT, "--format", "jsonl"]
        command(*how, to=f"models/{name}.jsonl", code=1 if asked == ["pictures"] else 0)


def features() -> None:
    """A store of features in three shards; ``earthclip features --views 2`` would put all photos into one."""
    extract(open_photos("pictures.csv", images=Path("pictures")), Path("clip"), Path("features"), views=2, shard_rows=8)


def training() -> None:
    """Runs stopped after their fourth step, and the figures of runs that nobody stopped."""
    Path("training").mkdir()
    stop("features", CONFIG.format(name="features", every=2, more="ema_decay = 0.9\n" + FEATURES, image=""))
    started = CONFIG.format(name="next", every=100, more='init = "whole/features"\n' + FEATURES, image="")
    Path("training/next.toml").write_text(started)
    command("train", "training/next.toml", "--out", "whole/next")
    shutil.copy("whole/next/progress.csv", "training/next.progress.csv")
    Path("training/next.toml").write_text(started.replace("whole/features", "training/features"))
    stop("photos", CONFIG.format(name="photos", every=100, more=PHOTOS, image=COMPACT))
    stop("views", CONFIG.format(name="views", every=100, more=VIEWS, image=COMPACT))
    stop("without-sum", CONFIG.format(name="without-sum", every=4, more=VIEWS, image=COMPACT), commit=WITHOUT_SUM)


def stop(name: str, config: str, commit: str | None = None) -> None:
    path, run, whole = f"training/{name}.toml", f"training/{name}", f"whole/{name}"
    Path(path).write_text(config)
    with earlier(commit) if commit else contextlib.nullcontext(os.environ) as environment:
        program = [sys.executable, "-c", STOPPED, path, run, "5" if commit else "4"]
        subprocess.run(program, check=True, env=environment)
    if commit:  # the figures of 0.1.0, which goes on with it
        shutil.copytree(run, whole)
    command("train", path, "--out", whole, *(["--resume"] if commit else []))
    for figures in ("progress", "validation"):
        shutil.copy(f"{whole}/{figures}.csv", f"{run}.{figures}.csv")
    Path(run, ".lock").unlink(missing_ok=True)


def journals() -> None:
    """``locate -o`` killed when 16 of 20 pictures were answered, and what it writes when it is not."""
    Path("journals").mkdir()
    for name, how in (("places.csv", ["--format", "csv"]), ("exact.jsonl", ["--format", "jsonl", *EXACT])):
        given = ["--model", "models/tiny", *how, "--workers", "0", "-o"]
        command("locate", "pictures", *given, f"journals/{name}", code=1)
        out = Path("whole", name)
        run = [sys.executable, "-m", "earthclip", "locate", "-", *given, str(out)]
        process = subprocess.Popen(run, stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(b"".join(f"pictures/{i:02}.jpg\n".encode() for i in range(17)))
        process.stdin.flush()
        journal = Path(f"{out}.partial")
        kill_when(process, lambda journal=journal: journal.exists() and journal.read_bytes().count(b"\n") == 17)
        journal.rename(f"journals/{name}.partial")


def cluster() -> None:
    """``--engine ray -o FOLDER`` of pictures and of places: finished, and killed with some blocks written."""
    ray = ["--model", "models/tiny", "--runtime", "onnxruntime", "--engine", "ray", "--workers", "1"]
    runs = {"locate": ["pictures", "--block-size", "4", "--precision", "float32"],
            "embed": ["places.parquet", "--block-size", "8"]}  # fmt: skip
    for name, asked in runs.items():
        out = Path(f"cluster/{name}-killed")
        command(name, *asked, *ray, "-o", f"cluster/{name}-finished", code=name == "locate")
        run = [sys.executable, "-m", "earthclip", name, *asked, *ray, "-o", str(out)]
        written = 5
        while written == 5:  # too late
            shutil.rmtree(out, ignore_errors=True)
            kill_when(subprocess.Popen(run), lambda out=out: len(list(out.glob("part-*.parquet"))) >= 2)
            time.sleep(10)  # workers end their block when the process that they belong to has gone
            written = len(list(out.glob("part-*.parquet")))
        Path(out, f"_earthclip/try-{written}-0").touch()  # what a worker leaves that is killed in mid-block
        for header in Path("cluster").glob(f"{name}-*/_earthclip/run.json"):  # the folder it ran in is no one's concern
            header.write_text(header.read_text().replace(json.dumps(str(Path.cwd())), '"WORKING FOLDER"'))


def outputs() -> None:
    """The answers of the built-in model for the example pictures in each format, and other commands' files."""
    Path("outputs").mkdir()
    shutil.copytree(ROOT / "examples", "examples")
    asked = ["locate", "examples", "examples/none.jpg", "--model", "orbit", *EXACT, "--top-k", "3"]
    for kind in ("json", "jsonl", "csv", "geojson", "kml", "geoparquet"):
        command(*asked, "--format", kind, "-o", f"outputs/orbit.{kind}", code=1)
    how = ["--model", "orbit", *EXACT, "--region", "-60,-180,60,180", "--min-confidence", "0.99"]
    command("locate", "examples", *how, "--format", "jsonl", "-o", "outputs/unsure.jsonl")
    how = ["--model", "models/tiny", *EXACT, "--privacy", "--format", "jsonl"]
    command("locate", "pictures/00.jpg", "pictures/01.jpg", *how, to="outputs/privacy.jsonl")
    for kind in ("csv", "parquet"):
        given = ["places.csv", "--model", "models/tiny", "--runtime", "onnxruntime"]
        command("embed", *given, "-o", f"outputs/embedded.{kind}")
    command("evaluate", "models/tiny", "pictures.csv", "--images", "pictures", "--format", "json",
            to="outputs/evaluated.json", code=1)  # fmt: skip
    given = ["--predictions", "pictures.csv", "--truth", "pictures.csv", "--format", "json"]
    command("evaluate", *given, to="outputs/evaluated-table.json")
    command("data", "check", "pictures.csv", "--images", "pictures", "--format", "json", to="outputs/checked.json",
            code=None)  # fmt: skip


def server() -> None:
    """What ``earthclip serve`` answered, and its OpenAPI description."""
    Path("server").mkdir()
    with running("models/full", Path("temporary").absolute(), "--runtime", "onnxruntime") as started:
        for name, reply in replies(started, Path("pictures")).items():
            Path("server", f"{name}.json").write_bytes(reply.body)


def names() -> None:
    """The names that ``import earthclip`` offers."""
    Path("names.json").write_text(json.dumps(earthclip.__all__, indent=2) + "\n")


def command(*arguments: object, to: str | None = None, code: int | None = 0) -> None:
    """Run ``earthclip ARGUMENTS`` in FOLDER, its standard output into a file; ``code`` None: any."""
    print("$ earthclip", *arguments, flush=True)
    with Path(to or os.devnull).open("w") as out:
        done = subprocess.run([sys.executable, "-m", "earthclip", *map(str, arguments)], stdout=out)
    assert code is None or done.returncode == code, done


def kill_when(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
    while not ready() and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    process.wait()


@contextlib.contextmanager
def earlier(commit: str) -> Iterator[dict[str, str]]:
    """The environment of a process that imports an earlier commit's package and tests."""
    archive = subprocess.run(["git", "-C", ROOT, "archive", commit, "src", "tests"], check=True, capture_output=True)
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as members:
            members.extractall(folder, filter="data")
        yield os.environ | {"PYTHONPATH": f"{folder}/src:{folder}"}


if __name__ == "__main__":
    main()

"""How fast this package is beside the published one, geoclip 1.3.0, and beside what the processor can do.

python benchmarks/speed.py [--runs 5] [--work DIR] [--only warm,folder] [--json FILE] [--markdown FILE]

In one run and side by side: (a) this package; (b) the published package in an environment of its own, made once;
(c) the same with its gallery encoded once and kept, as users patch it; (d) the time that ViT-L/14's 162 GFLOP take at
the highest matrix rate found on this processor, in the precision of the row. Medians of ``--runs``, the sides in turns.
A target that is missed makes the exit code 1. Needs the extras `train` and `openvino`, 8 GB of disk and 14 GB of
memory; nothing else should compute meanwhile. CLIP has random weights unless --clip names real ones: the same speed,
but nothing is said of what int8 costs in quality. DIR keeps what was made; delete it to begin anew.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import Bench, command, earthclip, say
from measures import MINUTES, PARTS
from published import BESIDE, OFFLINE, ROOT, WORK, published_python, run, versions
from rows import HEAD, Row
from sides import UnavailableError

OURS = ("numpy", "pillow", "onnxruntime", "openvino", "torch")
# Instructions that multiply matrices, by the names of /proc/cpuinfo.
INSTRUCTIONS = ("amx_tile", "amx_bf16", "amx_int8", "avx512_bf16", "avx512_vnni", "avx_vnni", "avx512f", "avx2")
BUSY = 0.3  # of the processors in use before the start, above which the figures are doubtful


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, help="of which the median is reported [5; 1 with --quick]")
    parser.add_argument("--work", type=Path, default=WORK, metavar="DIR", help="[%(default)s]")
    parser.add_argument("--published-venv", type=Path, metavar="DIR", help="of the published package [WORK/venv]")
    parser.add_argument("--clip", type=Path, metavar="DIR", help="CLIP ViT-L/14 [made with random weights]")
    parser.add_argument("--only", type=parts, default=list(PARTS), metavar="PART,...", help=", ".join(PARTS))
    parser.add_argument("--named", nargs="+", default=[], metavar="TEXT", help='ours to measure, as "openvino int8"')
    parser.add_argument("--quick", action="store_true", help="orbit alone and small, to see that this program works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, every repetition")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    args = parser.parse_args()
    runs = args.runs or (1 if args.quick else 5)
    work = Path(tempfile.mkdtemp()) if args.quick else args.work.resolve()
    try:
        bench = Bench(runs, work, args.quick) if args.quick else prepared(runs, work, args.published_venv, args.clip)
        bench.named = tuple(args.named)
        return measure(bench, args.only, args.json, args.markdown, args.clip)
    finally:
        if args.quick:
            shutil.rmtree(work)


def parts(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown part '{unknown[0]}', expected of {', '.join(PARTS)}")
    return names


def prepared(runs: int, work: Path, environment: Path | None, clip: Path | None) -> Bench:
    """Everything that must be there before anything is timed."""
    work.mkdir(parents=True, exist_ok=True)
    python = published_python(environment or work / "venv")
    if clip is None:
        clip = work / "clip-large"
        if not (clip / "preprocessor_config.json").exists():
            say("a CLIP with random weights, once")
            call_published(python, "published.save_random_clip(pathlib.Path(sys.argv[1]), 'large')", str(clip))
    bench = Bench(runs, work, quick=False, python=python, clip=clip.resolve())
    if not (bench.home / "models" / "geoclip" / "config.json").exists():
        say("the model folder, once")
        os.environ["EARTHCLIP_HOME"] = str(bench.home)
        package = call_published(python, "import geoclip; print(pathlib.Path(geoclip.__file__).parent)").strip()
        run(earthclip("model", "pull", "geoclip", "--from", package, "--clip", str(clip)))
    if not list((bench.home / "models" / "geoclip").glob("*int8*.onnx")):
        say("its image encoder in int8, once")
        try:  # by force, since it is speed that is asked for here
            photos = str(bench.photos[0].parent)
            command(earthclip("model", "quantize", "geoclip", "--accept-loss", "--pictures", photos), bench.home)
        except UnavailableError as error:
            say(f"there is no int8: {error}")
    return bench


def call_published(python: Path, code: str, *arguments: str) -> str:
    here = f"import pathlib, sys; sys.path.insert(0, {str(ROOT / 'benchmarks')!r}); import published; "
    return run([str(python), "-c", here + code, *arguments], OFFLINE)


def measure(bench: Bench, names: list[str], to_json: Path | None, markdown: Path | None, clip: Path | None) -> int:
    about = machine(bench)
    share = about["load before"] / about["cores"]
    if share > BUSY:
        say(f"something else computes here ({share:.0%} of the processors); the figures below are doubtful")
    shared = 0 if {"cold", "memory"} - set(names) else MINUTES["memory"]  # both read the same commands
    minutes = (sum(MINUTES[name] for name in names) - shared) * (bench.runs + 1) / 6
    say(f"about {minutes:.0f} minutes, on two cores" if not bench.quick else "a quick run, whose figures say nothing")
    weights = "CLIP with random weights: nothing is said of quality" if clip is None else f"CLIP of {clip}"
    lines = [describe(about), f"Medians of {bench.runs}; {weights}.", "", HEAD]
    print("\n".join(lines), flush=True)
    rows: list[Row] = []
    for name in names:
        for row in PARTS[name](bench):
            print(row, flush=True)
            rows.append(row)
    if markdown:
        markdown.write_text("\n".join([*lines, *map(str, rows)]) + "\n", encoding="utf-8")
    if to_json:
        found = {"machine": about, "clip": weights, "runs": bench.runs, "rows": [as_json(row) for row in rows]}
        to_json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return int(any(row.passed is False for row in rows))


def as_json(row: Row) -> dict[str, Any]:
    content = asdict(row) | {"passed": row.passed}
    for side in ("ours", "published", "kept"):
        figure = getattr(row, side)
        if figure:
            content[side] |= {"median": figure.median}
    return content


def machine(bench: Bench) -> dict[str, Any]:
    import earthclip as package

    theirs = {}
    if bench.python:
        code = "import json; print(json.dumps(published.versions(*sys.argv[1:])))"
        theirs = json.loads(call_published(bench.python, code, "geoclip", *BESIDE))
    facts = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in facts.split("\n\n")[0].splitlines() if ":" in line)
    cpu = {name.strip(): value.strip() for name, value in fields.items()}
    flags = cpu.get("flags", cpu.get("Features", "")).split()
    return {
        "cpu": cpu.get("model name") or platform.processor() or platform.machine(),
        "cpu family": "/".join(cpu.get(key, "?") for key in ("cpu family", "model", "stepping")),
        "cores": os.cpu_count() or 1,
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        "memory GB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "load before": round(os.getloadavg()[0], 2),
        "ours": {"earthclip": package.__version__} | versions(*OURS),
        "published": theirs,
    }


def describe(about: dict[str, Any]) -> str:
    ours, theirs = (
        ", ".join(f"{name} {found}" for name, found in about[side].items()) for side in ("ours", "published")
    )
    return (
        f"{about['cpu']} (family/model/stepping {about['cpu family']}), {about['cores']} cores with "
        f"{', '.join(about['instructions']) or 'none of the matrix instructions looked for'}; {about['memory GB']} GB; "
        f"{about['system']}; Python {about['python']}; load before the run {about['load before']}, nothing else should "
        f"compute. (a): {ours}. (b) and (c): {theirs or 'not measured'}. (d): the best library here. Whole commands "
        "run in fresh processes, their files in the system's cache."
    )


if __name__ == "__main__":
    sys.exit(main())

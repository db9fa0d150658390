"""The commands end to end, on real imagery with a tiny network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from earthclip.cli import main
from recipes.orbit.commands import orbit
from recipes.orbit.config import read_orbit_config
from tests.recipes.orbit.tiny_views import write_config

ROOT = Path(__file__).parents[3]


def run(arguments: list[str]) -> int:
    return main(arguments, command=orbit, name="python -m recipes.orbit")


@pytest.mark.slow
def test_one_command_builds_model_and_card(tmp_path, capsys):
    config, folder = write_config(tmp_path, steps=2), tmp_path / "model"
    command = ["build", str(config), "--run", str(tmp_path / "run"), "-o", str(folder)]
    assert run([*command, "-n", "4"]) == 2  # before any work: imagery of other publishers is not here
    assert "python -m recipes.orbit fetch bmng-january" in capsys.readouterr().err
    assert run([*command, "-n", "4", "--imagery", "bmng"]) == 0
    assert "| bmng | training | 300-1500 | 4 |" in capsys.readouterr().out
    card = (folder / "README.md").read_text()
    assert "| bmng | training | 300-1500 | 4 |" in card
    assert "16 views, none seen twice" in card
    figures = json.loads((folder / "config.json").read_text())["accuracy"]
    assert figures["bmng (training), half-width 300-1500 km"]["n"] == 4
    assert main(["locate", str(tmp_path / "none.jpg"), "--model", str(folder)]) == 2


@pytest.mark.slow
def test_runs_that_a_run_goes_on_from_are_trained_first(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    last = write_config(tmp_path, steps=2).read_text()
    for name, before in (("first", None), ("second", "first"), ("third", "second")):
        text = last.replace('name = "tiny"', f'name = "{name}"')
        chain = f'init = "runs/{before}"\ninit_location = {str(name != "third").lower()}\n' if before else ""
        (tmp_path / f"{name}.toml").write_text(chain + text)
    command = ["build", "third.toml", "-o", "model", "-n", "4", "--imagery", "bmng"]
    assert run(command) == 0
    said = capsys.readouterr().out
    assert said.index("first: ") < said.index("second: ") < said.index("third: ")
    assert "starting from the weights of runs/first\n" in said
    assert "starting from the weights of runs/second, without its location encoder\n" in said
    card = (tmp_path / "model" / "README.md").read_text()
    # A model's name is no run, even with a configuration of that name beside; a run made elsewhere needs none.
    text = last.replace('name = "tiny"', 'name = "fourth"')
    (tmp_path / "orbt.toml").write_text(last)
    (tmp_path / "fourth.toml").write_text('init = "orbt"\n' + text)
    (tmp_path / "first.toml").unlink()
    assert run(["build", "fourth.toml", "-o", "other", "-n", "4", "--imagery", "bmng"]) == 2
    assert "did you mean 'orbit'" in capsys.readouterr().err and not (tmp_path / "orbt").exists()
    (tmp_path / "fourth.toml").write_text('init = "runs/first"\n' + text)
    assert run(["build", "fourth.toml", "-o", "other", "-n", "4", "--imagery", "bmng"]) == 0
    assert "first: " not in capsys.readouterr().out
    assert "The image encoder went on from the weights of the run before,\n`recipes/orbit/configs/second.toml`." in card


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["card", "orbit", "--imagery", "stellarium"], "say so with --test"),
        (["card", "orbit", "-n", "1"], "-n must be at least 2, found 1"),
        (["render", "--out", "{tmp}/set", "--seed", "-1"], "seed must not be negative"),
        (["render", "--out", "{tmp}/set", "--source", "bing"], "unknown imagery 'bing'; known: bmng"),
        (["render"], "Missing option '--out'. See 'python -m recipes.orbit render --help'."),
        (["train", "{tmp}/none.toml"], "none.toml: no such file"),
        (["export", "{tmp}", "-o", "{tmp}/model", "--zoom", "2"], "--zoom must be 0.25 to 1"),
        (["export", "{tmp}", "-o", "{tmp}/model", "--spacing-km", "1"], "--spacing-km must be 5 to 2000 km"),
        (["fetch", "bing"], "unknown imagery 'bing'; known: bmng"),
    ],
)
def test_wrong_commands_are_one_line(tmp_path, capsys, arguments, message):
    assert run([argument.format(tmp=tmp_path) for argument in arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_run_is_resumed_only_when_asked(tmp_path, capsys):
    config, folder = write_config(tmp_path, steps=1), tmp_path / "run"
    command = [sys.executable, "-m", "recipes.orbit", "train", str(config), "--out", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (folder / "checkpoint.safetensors").exists()
    assert run(["train", str(config), "--out", str(folder)]) == 2
    assert "add --resume to continue it" in capsys.readouterr().err
    assert run(["train", str(config), "--out", str(folder), "--resume"]) == 0


def test_imagery_is_listed_with_its_licence(capsys):
    assert run(["imagery"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 13
    assert lines[0].startswith("bmng ") and lines[0].endswith("(public domain; the wheel: MIT)")


def test_the_committed_configurations_are_valid():
    folder = ROOT / "recipes" / "orbit" / "configs"
    configs = {path.stem: read_orbit_config(path) for path in sorted(folder.glob("*.toml"))}
    assert configs.keys() == {"orbit", "orbit-base", "orbit-better", "orbit-mottled", "orbit-paper", "orbit-seasons"}
    assert all(config.name == stem for stem, config in configs.items())
    chain = [configs["orbit"].init, configs["orbit-mottled"].init, configs["orbit-base"].init]
    assert chain == ["runs/orbit-mottled", "runs/orbit-base", None]


def test_without_torch_the_extra_is_named(tmp_path):
    blocked = (
        "import sys; sys.modules['torch'] = None; from earthclip.cli import main; "
        "from recipes.orbit.commands import orbit; sys.exit(main(sys.argv[1:], orbit))"
    )
    command = [sys.executable, "-c", blocked, "train", str(write_config(tmp_path))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "earthclip[train]" in done.stderr
    assert done.stderr.count("\n") == 1

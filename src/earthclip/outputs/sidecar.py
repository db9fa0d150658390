"""Estimates in XMP sidecars: written beside photos, merged into what other programs wrote, and taken out again."""

from __future__ import annotations

from pathlib import Path

from earthclip.errors import InputError, OutputError
from earthclip.files import atomic_write, with_ending
from earthclip.locating.prediction import Prediction
from earthclip.outputs.estimate import (
    Estimate,
    estimate_of,
    has_position,
    is_ours,
    position_texts,
    without_block,
    without_estimate,
    without_position,
)
from earthclip.outputs.xmp_packet import RDF, Packet, parse_packet
from earthclip.pictures.capture import capture_of, sidecars_of
from earthclip.pictures.metadata.xmp import coordinate

BACKUP = ".before-earthclip"  # no photo tool takes a file of this name for a sidecar
_EMPTY = (
    '<?xpacket begin="\N{ZERO WIDTH NO-BREAK SPACE}" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="EarthCLIP">\n'
    f' <rdf:RDF xmlns:rdf="{RDF}">\n'
    ' </rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>\n'
).encode()
_SAME_DEG = 1e-4  # 11 m: other programs write positions in other digits


def sidecar_path(photo: Path) -> Path:
    """The path of a photo's sidecar: the one it has, or else ``.xmp`` after the photo's whole name."""
    return next(iter(sidecars_of(photo)), photo.with_name(photo.name + ".xmp"))


def backup_path(sidecar: Path) -> Path:
    """Where the bytes of a sidecar are kept that held what other programs wrote."""
    return with_ending(sidecar, BACKUP)


def objection(answer: Prediction) -> str | None:
    """Why the sidecar of an answer would do harm, after "the answer" or "the photo"; None where nothing speaks against.

    A sidecar goes before what the photo says itself: a guess would hide a position that was measured. Raises
    InputError when the photo cannot be read.
    """
    if answer.advice is not None:
        return "the picture is out of the model's scope"
    if answer.abstained or not len(answer.coordinates):
        return "the answer abstains"
    if answer.verdict is not None and answer.verdict.level is None:
        return "no region stands out"
    if answer.path is not None:
        capture = capture_of(Path(answer.path))
        if capture.position is not None and not capture.estimated:
            return "the photo has a position"
    return None


def write_sidecar(answer: Prediction, *, overwrite: bool = False) -> Path:
    """Write the best place of an answer into the sidecar of its photo; returns the sidecar's path.

    It is written whatever ``objection`` says. Raises InputError for an answer without photo or without a place,
    OutputError when the sidecar holds a position already and not ``overwrite``, or when it cannot be written.
    """
    if answer.path is None:
        raise InputError(f"{answer.subject}: a sidecar is written beside a photo's file, but this answer has no file")
    estimate, photo = estimate_of(answer), Path(answer.path)
    path = sidecar_path(photo)
    if not overwrite and path.exists() and has_position(_packet(path)):
        raise OutputError(f"{path}: holds a position already; add --force to replace it")
    put(photo, estimate)
    return path


def sidecar(answer: Prediction) -> str:
    """The best place of an answer as an XMP packet of its own. Raises InputError where there is no place to trust."""
    return _alone(estimate_of(answer)).decode()


def put(photo: Path, estimate: Estimate, *, dry_run: bool = False) -> bool:
    """Write an estimate into a photo's sidecar, in the place of a position there; False where it holds that already.

    What else the sidecar holds stays, byte for byte, and its bytes from before are kept beside it until ``take_out``.
    Raises OutputError when the photo is gone or a file cannot be written, InputError for a sidecar that is no XMP.
    """
    if not photo.is_file():
        raise OutputError(f"{photo}: the photo no longer exists; a sidecar can only be written beside its photo")
    path = sidecar_path(photo)
    if not path.exists():
        after, backup = _alone(estimate), None
    else:
        packet = _packet(path)
        before = _before(packet) if is_ours(packet) else packet.data
        if before is None or before == _EMPTY:
            after, backup = _alone(estimate), None
        else:
            bare = parse_packet(without_position(parse_packet(before, path)), path)
            after, backup = bare.with_block(estimate.block(bare.about)), packet.data
        if after == packet.data:
            return False
        if is_ours(packet) and backup_path(path).exists():
            backup = None  # the oldest is the one to go back to
    if backup is not None:
        keep_backup(backup_path(path), backup, dry_run=dry_run)
    if not dry_run:
        with atomic_write(path, overwrite=True) as file:
            file.write(after)
    return True


def keep_backup(path: Path, data: bytes, *, dry_run: bool = False) -> None:
    """Write ``data`` to ``path``, the backup's, unless it is there. Raises OutputError where something else is."""
    if not path.exists():
        if not dry_run:
            with atomic_write(path) as file:
                file.write(data)
    elif not path.is_file() or path.read_bytes() != data:
        raise OutputError(f"{path}: is no backup of the file as it is now, and was left; move or rename it")


def take_out(photo: Path, position: tuple[float, float], *, dry_run: bool = False) -> str | None:
    """Take an estimate at ``position`` (latitude, longitude) out of a photo's sidecar; None where there is none.

    Returns "restored" where the sidecar is byte for byte as before the estimate, or gone as before; "kept" where
    another program has changed it since: then what that wrote stays, and so does the backup; "changed" where the
    position is not the one that was written here, and nothing is done. Raises InputError and OutputError as ``put``.
    """
    path = sidecar_path(photo)
    backup = backup_path(path)
    if not path.exists():
        return None
    packet = _packet(path)
    earlier = backup.read_bytes() if backup.exists() else None
    if not is_ours(packet):
        if earlier == packet.data and not dry_run:  # an undo was interrupted between its two steps
            backup.unlink()
        return None
    exact = without_block(packet)
    if exact is None and not _is_at(packet, position):
        return "changed"
    before = _before(packet)
    outcome = "restored" if exact is not None else "kept"
    if earlier is not None:
        if exact is not None and exact == without_position(parse_packet(earlier, backup)):
            before = earlier
        else:
            outcome = "kept"
    if not dry_run:
        if before is None:
            path.unlink()
        else:
            with atomic_write(path, overwrite=True) as file:
                file.write(before)
        if before == earlier:
            backup.unlink(missing_ok=True)
    return outcome


def _packet(path: Path) -> Packet:
    try:
        return parse_packet(path.read_bytes(), path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def _alone(estimate: Estimate) -> bytes:
    return parse_packet(_EMPTY, "sidecar").with_block(estimate.block(alone=True))


def _before(packet: Packet) -> bytes | None:
    """The bytes of a packet without our estimate; None where nothing of anyone else's is left."""
    exact = without_block(packet)
    if exact == _EMPTY:
        return None
    bare = without_estimate(packet) if exact is None else exact
    left = parse_packet(bare, "sidecar")
    # As the version before wrote it, in one rdf:Description
    return None if not left.properties and left.toolkit == "EarthCLIP" and b"<!--" not in bare else bare


def _is_at(packet: Packet, position: tuple[float, float]) -> bool:
    for text, degrees, limit in zip(position_texts(packet), position, (90.0, 180.0), strict=True):
        found = coordinate(text or "", limit)
        if found is None or abs(found[0] - degrees) > _SAME_DEG:
            return False
    return True

"""Records of photos that are nowhere."""

from earthclip.locating.index_files import PhotoRecord


def record(number: int, author: str | None = None) -> PhotoRecord:
    return PhotoRecord("made", f"photo {number}", f"{number:064}", author=author)

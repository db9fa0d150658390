"""A request that is not answered, and why: the one way by which the server says no."""

from __future__ import annotations

from earthclip.errors import EarthCLIPError


class Refusal(EarthCLIPError):  # noqa: N818  - not a fault: an answer
    """One line for the client, with the HTTP ``status`` to send it with.

    ``retry_after_s`` is when another try is worth it, None when the same request will be refused again.
    """

    def __init__(self, status: int, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s

"""What a server allows and how it batches; and the API key, which never passes through argv."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from earthclip.configuration import usable_processors
from earthclip.errors import ConfigError

API_KEY_VARIABLE = "EARTHCLIP_API_KEY"
_SHORTEST_KEY = 16  # characters: what cannot be guessed over a network
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True)
class Settings:
    """Limits of a server. Raises ConfigError for values with which it could answer nothing."""

    batch_size: int = 16  # photos encoded at once; more would keep each waiting for the others
    wait_ms: float = 3.0  # how long the encoder waits for a batch to fill
    max_waiting: int = 64  # pictures, texts and tables of coordinates between arrival and answer
    max_requests: int = 64  # requests whose bodies are read or answered at a time
    max_body_mb: float = 64.0  # of one request
    max_bodies_mb: float = 512.0  # of all requests at a time, in memory
    max_megapixels: float = 100.0  # of one photo, read from its header before any pixel is decoded
    max_photos: int = 16  # of one request
    body_timeout_s: float = 30.0  # for a request to arrive
    answer_timeout_s: float = 60.0  # from arrival to answer
    shutdown_s: float = 30.0  # for what is under way when the server is asked to stop
    decoders: int = field(default_factory=usable_processors)  # processes that decode photos
    api_key: ApiKey | None = field(default=None, repr=False)
    cors_origins: tuple[str, ...] = ()  # pages of other sites whose scripts may read the answers
    hosts: frozenset[str] | None = None  # names it answers to, against DNS rebinding; None: any
    index: tuple[Path, ...] = ()  # folders of indices of photos, the references of every answer
    root_path: str = ""  # the path at which a proxy shows the server, such as /geo

    def __post_init__(self) -> None:
        whole = ("batch_size", "max_waiting", "max_requests", "max_photos", "decoders")
        above_0 = ("max_body_mb", "max_bodies_mb", "max_megapixels", "body_timeout_s", "answer_timeout_s")
        for name in whole:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 1")
        for name in above_0:
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} is {getattr(self, name)}; expected a number above 0")
        if not (0 <= self.wait_ms <= 1000 and self.shutdown_s >= 0):
            raise ConfigError(f"wait_ms is {self.wait_ms}; expected 0 to 1000, and shutdown_s not below 0")
        if self.max_photos > self.max_waiting:
            raise ConfigError(
                f"max_photos is {self.max_photos}, more than max_waiting ({self.max_waiting}); lower it, or no such "
                "request is ever let in"
            )
        if self.max_bodies_mb < self.max_body_mb:
            raise ConfigError(f"max_bodies_mb is {self.max_bodies_mb}; expected at least max_body_mb, for one request")
        if self.root_path and not re.fullmatch(r"(/[\w.~-]+)+", self.root_path, re.ASCII):
            raise ConfigError(f"root_path is '{self.root_path}'; expected a path such as /geo")

    @property
    def max_body_bytes(self) -> int:
        """Largest body of a request, in bytes."""
        return int(self.max_body_mb * 1e6)

    @property
    def max_pixels(self) -> int:
        """Most pixels of a photo."""
        return int(self.max_megapixels * 1e6)


class ApiKey:
    """A secret that can be compared with, in the same time whatever is given, but not read."""

    def __init__(self, secret: str) -> None:
        """Raises ConfigError for a secret that could be guessed or cannot be sent in a header."""
        if len(secret) < _SHORTEST_KEY:
            raise ConfigError(f"the API key has {len(secret)} characters; expected {_SHORTEST_KEY} or more at random")
        if not (secret.isascii() and secret.isprintable() and " " not in secret):
            raise ConfigError(
                "the API key has spaces or letters beyond ASCII, which headers cannot carry; choose another"
            )
        self._digest = hashlib.sha256(secret.encode()).digest()

    def __repr__(self) -> str:
        return "ApiKey(...)"

    def matches(self, given: bytes) -> bool:
        """Whether ``given`` is the secret."""
        return hmac.compare_digest(hashlib.sha256(given).digest(), self._digest)


def read_api_key(file: Path | None, environment: Mapping[str, str] = os.environ) -> ApiKey | None:
    """The key in ``file`` or EARTHCLIP_API_KEY, None where there is neither; ConfigErrors do not show it."""
    if file is not None:
        try:
            return ApiKey(file.read_text(encoding="utf-8").strip())
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigError(f"{file}: the API key cannot be read ({reason})") from error
    secret = environment.get(API_KEY_VARIABLE)
    if secret is None:
        return None
    if not secret.strip():
        raise ConfigError(f"{API_KEY_VARIABLE} is empty; set it to a key, or unset it to serve without one")
    return ApiKey(secret.strip())


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server at ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hosts_of(host: str) -> frozenset[str] | None:
    """The names by which a server bound to ``host`` may be called: on loopback its own, else any."""
    if not is_loopback(host):
        return None
    return _LOOPBACK_NAMES | {f"[{host}]" if ":" in host else host}

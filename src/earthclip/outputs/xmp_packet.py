"""Exact edits of an XMP packet: properties are cut out and a block is put in; every other byte stays.

The packet is parsed by expat, which reads nothing from elsewhere. A document type is refused: only attacks have one.
Source: XMP Specification Part 1 (ISO 16684-1), sections 7.3 to 7.9.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from xml.parsers import expat

from earthclip.errors import InputError

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_X = "adobe:ns:meta/"
_LARGEST = 64 << 20  # bytes; edits of brushes and masks take a few MB
_DEEPEST = 200
_ATTRIBUTE = re.compile(rb"\s+([^\s=/>]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_NAME = re.compile(rb"<[^\s/>]+")


@dataclass(frozen=True)
class Property:
    """A property of the photo: namespace and name, its text where it is simple, and the bytes that it takes."""

    name: tuple[str, str]
    value: str | None
    start: int
    end: int


@dataclass(frozen=True)
class Packet:
    """What is known of a packet: its properties, where its RDF ends, the photo's name in it and who wrote it last."""

    data: bytes
    properties: tuple[Property, ...]
    end: int  # where a further rdf:Description fits
    about: bytes  # of rdf:about, as written
    toolkit: str

    def text(self, name: tuple[str, str]) -> str | None:
        """The text of a simple property; None where there is none."""
        return next((one.value for one in self.properties if one.name == name), None)

    def without(self, unwanted: Callable[[Property], bool]) -> bytes:
        """The bytes without the properties for which ``unwanted`` holds."""
        data = self.data
        for one in sorted(self.properties, key=lambda one: -one.start):
            if unwanted(one):
                data = data[: one.start] + data[one.end :]
        return data

    def with_block(self, block: bytes) -> bytes:
        """The bytes with ``block``, an rdf:Description, as the last of the RDF."""
        return self.data[: self.end] + block + self.data[self.end :]


def parse_packet(data: bytes, where: object) -> Packet:
    """The packet in a sidecar's bytes. Raises InputError, naming ``where``, for what is no XMP in UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not XMP in UTF-8; it was left as it is, move it to have another") from error
    if len(data) > _LARGEST:
        raise InputError(f"{where}: larger than 64 MB, too large for a sidecar; it was left as it is")
    reading = _Reading(data)
    try:
        reading.parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise InputError(f"{where}: not XMP ({error}); it was left as it is, move it to have another") from error
    if reading.end is None:
        raise InputError(f"{where}: XML without an open rdf:RDF; it was left as it is, move it to have another")
    return Packet(data, tuple(reading.properties), reading.end, reading.about or b"", reading.toolkit)


class _Reading:
    """One parse: what Packet holds, gathered from expat's events."""

    def __init__(self, data: bytes) -> None:
        self.properties: list[Property] = []
        self.end: int | None = None
        self.about: bytes | None = None
        self.toolkit = ""
        self._data = data
        self._path: list[str] = []
        self._scopes: dict[str, list[str]] = {}  # namespaces of prefixes, the innermost last
        self._open: tuple[int, list[str], bool] | None = None  # of a property: its start, its text, whether simple
        self._empty_end: int | None = None  # of an element that is written <like this/>
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartNamespaceDeclHandler = lambda prefix, uri: self._scopes.setdefault(prefix or "", []).append(uri)
        parser.EndNamespaceDeclHandler = lambda prefix: self._scopes[prefix or ""].pop()
        parser.StartElementHandler, parser.EndElementHandler = self._started, self._ended
        parser.CharacterDataHandler = self._read
        parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = self._refuse
        parser.XmlDeclHandler = self._declared
        self.parser = parser

    def _refuse(self, *_: object) -> None:
        raise ValueError("it declares a document type")

    def _declared(self, _: str, encoding: str | None, __: int) -> None:
        if (encoding or "utf-8").lower() not in ("utf-8", "us-ascii", "ascii"):
            raise ValueError(f"its encoding is {encoding}")

    def _started(self, name: str, attributes: dict[str, str]) -> None:
        start = self.parser.CurrentByteIndex
        parent, depth = self._path[-1] if self._path else "", len(self._path)
        if depth >= _DEEPEST:
            raise ValueError("nested deeper than programs write")
        self._path.append(name)
        named = _NAME.match(self._data, start)
        at = start if named is None else named.end()
        written = []
        while attribute := _ATTRIBUTE.match(self._data, at):
            written.append(attribute)
            at = attribute.end()
        close = self._data.index(b">", at)
        self._empty_end = close + 1 if self._data[close - 1 : close] == b"/" else None
        if name == f"{_X} xmpmeta":
            self.toolkit = attributes.get(f"{_X} xmptk", "")
        if name == f"{RDF} Description" and self._path[-2:-1] == [f"{RDF} RDF"]:
            self._description(written)
        elif parent == f"{RDF} Description" and self._path[-3:-2] == [f"{RDF} RDF"]:
            self._open = start, [], not attributes.keys() - {f"{RDF} resource"}
        elif self._open is not None:
            self._open = *self._open[:2], False

    def _description(self, written: list[re.Match[bytes]]) -> None:
        for attribute in written:
            prefix, _, local = attribute[1].decode().rpartition(":")
            value = attribute[2] if attribute[2] is not None else attribute[3]
            if not prefix or prefix == "xmlns":
                continue
            namespace = "" if prefix == "xml" else self._scopes[prefix][-1]
            if namespace == RDF:
                self.about = value if local == "about" and self.about is None else self.about
            elif namespace:
                text = _unescaped(value.decode())
                self.properties.append(Property((namespace, local), text, attribute.start(), attribute.end()))

    def _ended(self, name: str) -> None:
        tag = self.parser.CurrentByteIndex
        end = self._empty_end or self._data.index(b">", tag) + 1
        self._path.pop()
        if name == f"{RDF} RDF" and not self._empty_end:
            if self.end is not None:
                raise ValueError("it has two rdf:RDF")
            self.end = tag
        self._empty_end = None
        of_photo = self._path[-2:] == [f"{RDF} RDF", f"{RDF} Description"]
        if self._open is not None and of_photo:
            start, text, simple = self._open
            while self._data[start - 1 : start].isspace():
                start -= 1
            namespace, _, local = name.rpartition(" ")
            self.properties.append(Property((namespace, local), "".join(text) if simple else None, start, end))
            self._open = None

    def _read(self, text: str) -> None:
        if self._open is not None and self._open[2]:
            self._open[1].append(text)


def _unescaped(text: str) -> str:
    for code, sign in (("&quot;", '"'), ("&apos;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(code, sign)
    return text

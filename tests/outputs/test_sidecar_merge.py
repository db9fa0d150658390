"""Estimates merged into the sidecars of other programs, in the forms in which these write them, and taken out again."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from earthclip.errors import InputError
from earthclip.outputs.estimate import HAND, Estimate
from earthclip.outputs.sidecar import backup_path, put, sidecar, sidecar_path, take_out
from earthclip.pictures.capture import capture_of, sidecars_of
from tests.outputs.answers import full
from tests.tiny import write_picture

RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
EXIF = 'xmlns:exif="http://ns.adobe.com/exif/1.0/"'
POSITION = 'exif:GPSVersionID="2.2.0.0"\n   exif:GPSLongitude="8,32.1E"\n   exif:GPSLatitude="47,22.05N"'

DARKTABLE = f"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF {RDF}>
  <rdf:Description rdf:about=""
    {EXIF}
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
    xmlns:darktable="http://darktable.sf.net/"
   exif:DateTimeOriginal="2024:06:01 10:00:00"
   {POSITION}
   exif:GPSAltitude="4080/10"
   xmp:Rating="3"
   xmpMM:DerivedFrom="photo.jpg"
   darktable:xmp_version="5"
   darktable:history_end="1">
   <darktable:history>
    <rdf:Seq>
     <rdf:li
      darktable:num="0"
      darktable:operation="exposure"
      darktable:params="gz02eJxjYGBgYAFiCQYYOOHEgAY0"/>
    </rdf:Seq>
   </darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""
DIGIKAM = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 5.5.0"> <rdf:RDF {RDF}> <rdf:Description rdf:about=""
 xmlns:digiKam="http://www.digikam.org/ns/1.0/" {EXIF} digiKam:ColorLabel="2" {POSITION}
 exif:GPSMapDatum="WGS-84"> <digiKam:TagsList> <rdf:Seq> <rdf:li>Holidays/Zürich &amp; lake</rdf:li> </rdf:Seq>
 </digiKam:TagsList> </rdf:Description> </rdf:RDF> </x:xmpmeta> <?xpacket end="w"?>"""
LIGHTROOM = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0-c000 1.000000, 0000/00/00">
 <rdf:RDF {RDF}>
  <rdf:Description rdf:about="uuid:1"
    xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
    xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
    xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
   crs:Exposure2012="+0.35"
   photoshop:SidecarForExtension="JPG"
   photoshop:City="Zürich">
   <xmpMM:History>
    <rdf:Seq>
     <rdf:li stEvt:action="saved" stEvt:when="2024-06-02T09:00:00+02:00" stEvt:changed="/metadata"/>
    </rdf:Seq>
   </xmpMM:History>
  </rdf:Description>
  <rdf:Description rdf:about="uuid:1" {EXIF}>
   <exif:GPSLatitude>47,22.05N</exif:GPSLatitude>
   <exif:GPSLongitude>8,32.1E</exif:GPSLongitude>
   <exif:GPSTimeStamp>2024-06-01T08:00:00Z</exif:GPSTimeStamp>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""
IMMICH = """<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='Image::ExifTool 12.70'>
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>

 <rdf:Description rdf:about=''
  xmlns:dc='http://purl.org/dc/elements/1.1/'>
  <dc:description>
   <rdf:Alt>
    <rdf:li xml:lang='x-default'>at the "lake" &lt;3 </rdf:li>
   </rdf:Alt>
  </dc:description>
 </rdf:Description>

 <rdf:Description rdf:about=''
  xmlns:exif='http://ns.adobe.com/exif/1.0/'>
  <exif:GPSLatitude>47,22.05N</exif:GPSLatitude>
  <exif:GPSLongitude>8,32.1E</exif:GPSLongitude>
 </rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end='w'?>"""
PLAIN = {"darktable": DARKTABLE, "digiKam": DIGIKAM, "Lightroom": LIGHTROOM, "Immich": IMMICH}
FORMS = {
    **PLAIN,
    "no position": DARKTABLE.replace(POSITION, ""),
    "byte order mark": "\ufeff" + IMMICH,
    "line ends of Windows": DARKTABLE.replace("\n", "\r\n"),
}
HERE = (-15.8402, -70.0219)
ESTIMATE = Estimate(*HERE, 0.412, 200.0, "orbit: picture, track")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return write_picture(tmp_path / "photo.jpg")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["photo.jpg.xmp", "photo.xmp"])
def test_put_in_and_taken_out_leaves_the_same_bytes(photo: Path, form: str, name: str) -> None:
    path, before = photo.with_name(name), FORMS[form].encode()
    path.write_bytes(before)
    assert sidecar_path(photo) == path
    assert put(photo, ESTIMATE, dry_run=True) and path.read_bytes() == before
    assert put(photo, ESTIMATE)
    assert backup_path(path).read_bytes() == before and backup_path(path).suffix != ".xmp"
    capture = capture_of(photo)
    assert capture.position == pytest.approx(HERE, abs=1e-8) and capture.estimated
    written = path.read_bytes()
    assert not put(photo, ESTIMATE) and path.read_bytes() == written
    assert put(photo, replace(ESTIMATE, latitude=10.0)) and put(photo, ESTIMATE)
    assert path.read_bytes() == written and backup_path(path).read_bytes() == before
    assert take_out(photo, HERE, dry_run=True) == "restored" and path.read_bytes() == written
    assert take_out(photo, HERE) == "restored"
    assert path.read_bytes() == before and sorted(photo.parent.iterdir()) == [photo, path]
    assert take_out(photo, HERE) is None


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="ExifTool is not installed")
def test_exiftool_reads_the_same_but_the_position(tmp_path: Path) -> None:
    def read() -> list[dict[str, Any]]:
        command = ["exiftool", "-j", "-G1", "-struct", "-n", "-a", *map(str, sorted(tmp_path.glob("*.xmp")))]
        return list(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))

    for form, text in PLAIN.items():
        write_picture(tmp_path / f"{form}.jpg")
        (tmp_path / f"{form}.jpg.xmp").write_text(text, encoding="utf-8")
    before = read()
    for form in PLAIN:
        put(tmp_path / f"{form}.jpg", ESTIMATE)
    for old, new in zip(before, read(), strict=True):
        assert new["XMP-exif:GPSLatitude"] == pytest.approx(HERE[0], abs=1e-7)
        assert new["XMP-exif:GPSLongitude"] == pytest.approx(HERE[1], abs=1e-7)
        assert new["XMP-exif:GPSHPositioningError"] == 200_000
        note = "Estimate by EarthCLIP, model orbit, from picture, track, probability 0.412; not measured"
        assert new["XMP-exif:GPSProcessingMethod"] == note
        changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        ours = {f"XMP-exif:GPS{name}" for name in ("Latitude", "Longitude", "VersionID", "MapDatum")}
        ours |= {"XMP-exif:GPSProcessingMethod", "XMP-exif:GPSHPositioningError"}
        assert {name for name in changed if not name.startswith(("System:", "XMP-earthclip:", "Composite:"))} <= ours


def test_the_photo_and_what_others_wrote_since_stay(photo: Path) -> None:
    before = photo.read_bytes()
    path = photo.with_name("photo.jpg.xmp")
    path.write_text(DARKTABLE)
    put(photo, ESTIMATE)
    path.write_text(path.read_text().replace('xmp:Rating="3"', 'xmp:Rating="5"'))
    assert take_out(photo, HERE) == "kept"
    assert path.read_text() == DARKTABLE.replace(POSITION, "").replace('xmp:Rating="3"', 'xmp:Rating="5"').replace(
        "\n   \n", "\n"
    )
    assert backup_path(path).read_text() == DARKTABLE and photo.read_bytes() == before


def test_a_sidecar_of_our_own_goes_again_whoever_wrote_it_anew(photo: Path) -> None:
    path = photo.with_name("photo.jpg.xmp")
    assert put(photo, ESTIMATE) and not backup_path(path).exists()
    assert take_out(photo, HERE) == "restored" and not path.exists()
    answer = full(str(photo))
    path.write_text(sidecar(answer).replace('EarthCLIP">', 'XMP Core 4.4.0-Exiv2">').replace("\n   ", " "))
    assert take_out(photo, HERE) == "changed" and "City" not in path.read_text()
    assert take_out(photo, (answer.latitude, answer.longitude)) == "kept"
    left = path.read_text()
    assert "GPS" not in left and "earthclip:" not in left.replace("xmlns:earthclip:", "") and "Sicily" not in left


def test_a_position_set_by_hand_says_so(photo: Path) -> None:
    put(photo, Estimate(*HERE, 0.4, 25.0, HAND))
    text = photo.with_name("photo.jpg.xmp").read_text()
    assert "Set by hand with EarthCLIP; not measured" in text and "HPositioningError" not in text
    assert capture_of(photo).estimated and take_out(photo, HERE) == "restored"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"rating: 3\n", "not XMP"),
        (b"", "not XMP"),
        (DARKTABLE.encode()[:-200], "not XMP"),
        (DARKTABLE.encode("utf-16"), "not XMP in UTF-8"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "without an open rdf:RDF"),
        (b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + DARKTABLE.encode()[39:], "declares a document type"),
        (b"<a>" * 300 + b"</a>" * 300, "nested deeper"),
    ],
)
def test_what_is_no_xmp_is_never_touched(photo: Path, content: bytes, says: str) -> None:
    path = photo.with_name("photo.jpg.xmp")
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        put(photo, ESTIMATE)
    with pytest.raises(InputError, match=says):
        take_out(photo, HERE)
    assert path.read_bytes() == content and sorted(photo.parent.iterdir()) == [photo, path]


def test_whose_sidecar_it_is(photo: Path) -> None:
    shared = photo.with_name("photo.xmp")
    shared.write_text(IMMICH)
    assert sidecars_of(photo) == [shared]
    raw = photo.with_name("photo.CR2")
    raw.write_bytes(b"raw")
    assert sidecars_of(photo) == [] and sidecar_path(photo).name == "photo.jpg.xmp"
    shared.write_text(LIGHTROOM)  # which names JPG
    assert sidecars_of(photo) == [shared] and sidecars_of(raw) == []

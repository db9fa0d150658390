"""The sea or ocean of a coordinate at sea, by rough boxes: good enough for a sentence, not for a chart.

Names and approximate limits follow the International Hydrographic Organization's "Limits of Oceans and Seas" (1953),
drawn here by hand as boxes, which may cover land: ask only about places that lie at sea.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

# South, west, north, east; the first box that holds a place names it, so that inner seas stand before outer ones.
_SEAS: list[tuple[str, tuple[float, float, float, float]]] = [
    ("Caspian Sea", (36.5, 46.5, 47.5, 54.5)),
    ("Sea of Azov", (45.3, 34.8, 47.4, 39.4)),
    ("Black Sea", (40.9, 27.4, 46.8, 41.9)),
    ("Adriatic Sea", (40.3, 12.0, 45.9, 19.8)),
    ("Aegean Sea", (35.6, 22.5, 41.1, 27.4)),
    ("Mediterranean Sea", (35.0, -5.6, 44.5, 36.3)),
    ("Mediterranean Sea", (30.2, 9.5, 35.0, 36.3)),
    ("Red Sea", (20.0, 32.3, 30.1, 41.0)),
    ("Red Sea", (12.6, 36.9, 20.0, 43.4)),
    ("Gulf of Aden", (10.4, 43.3, 15.5, 51.3)),
    ("Persian Gulf", (23.9, 47.7, 30.6, 56.4)),
    ("Gulf of Oman", (22.3, 56.4, 27.0, 61.0)),
    ("White Sea", (63.5, 32.0, 66.7, 41.0)),
    ("Gulf of Bothnia", (60.2, 17.0, 66.0, 25.6)),
    ("Baltic Sea", (53.5, 12.6, 60.7, 30.5)),
    ("Baltic Sea", (53.8, 9.6, 56.0, 12.6)),
    ("English Channel", (48.5, -5.0, 51.0, 1.5)),
    ("Irish Sea", (51.9, -6.6, 54.8, -2.9)),
    ("North Sea", (51.0, -2.0, 61.0, 12.6)),
    ("Bay of Biscay", (43.3, -8.0, 48.5, -1.0)),
    ("Norwegian Sea", (61.0, -5.0, 71.2, 18.0)),
    ("Barents Sea", (68.5, 18.0, 80.0, 56.0)),
    ("Kara Sea", (68.5, 56.0, 80.0, 100.0)),
    ("Laptev Sea", (70.5, 105.0, 80.0, 139.0)),
    ("East Siberian Sea", (68.8, 143.0, 77.0, 180.0)),
    ("Chukchi Sea", (66.3, -180.0, 74.0, -156.6)),
    ("Beaufort Sea", (68.8, -156.6, 76.0, -125.0)),
    ("Greenland Sea", (70.0, -20.0, 82.0, 15.0)),
    ("Baffin Bay", (70.0, -82.0, 78.2, -51.0)),
    ("Davis Strait", (60.5, -68.0, 70.0, -50.0)),
    ("Hudson Bay", (51.0, -95.3, 64.0, -77.5)),
    ("Labrador Sea", (52.0, -64.0, 60.5, -44.0)),
    ("Gulf of Saint Lawrence", (45.9, -69.0, 51.5, -57.0)),
    ("Gulf of Mexico", (18.0, -98.0, 30.7, -86.5)),
    ("Gulf of Mexico", (22.8, -86.5, 30.3, -81.8)),
    ("Caribbean Sea", (15.0, -89.0, 20.0, -61.0)),
    ("Caribbean Sea", (19.9, -87.5, 22.4, -77.5)),
    ("Caribbean Sea", (9.6, -84.0, 15.0, -61.0)),
    ("Caribbean Sea", (9.0, -82.3, 9.7, -75.7)),
    ("Gulf of California", (22.9, -114.9, 31.9, -106.0)),
    ("Gulf of Alaska", (54.5, -158.0, 61.5, -131.0)),
    ("Bering Sea", (53.0, -180.0, 66.3, -160.0)),
    ("Bering Sea", (54.0, 163.0, 66.3, 180.0)),
    ("Sea of Okhotsk", (46.0, 142.7, 62.8, 156.5)),
    ("Sea of Okhotsk", (52.0, 135.0, 60.0, 142.7)),
    ("Sea of Japan", (35.0, 127.5, 46.0, 141.0)),
    ("Yellow Sea", (33.2, 117.3, 41.0, 126.8)),
    ("East China Sea", (25.2, 119.0, 33.2, 129.5)),
    ("Philippine Sea", (8.0, 126.0, 33.0, 145.0)),
    ("Gulf of Thailand", (7.0, 99.0, 13.6, 104.8)),
    ("South China Sea", (1.3, 103.6, 23.5, 120.8)),
    ("Sulu Sea", (5.5, 117.0, 12.0, 122.7)),
    ("Celebes Sea", (1.0, 117.5, 7.3, 125.3)),
    ("Java Sea", (-7.5, 105.9, -3.0, 117.5)),
    ("Banda Sea", (-8.3, 122.5, -2.8, 132.8)),
    ("Arafura Sea", (-12.3, 132.8, -3.5, 142.3)),
    ("Timor Sea", (-14.5, 124.0, -8.5, 132.8)),
    ("Andaman Sea", (6.0, 93.0, 17.5, 98.8)),
    ("Bay of Bengal", (6.0, 79.8, 22.8, 94.5)),
    ("Arabian Sea", (5.0, 51.2, 25.5, 77.5)),
    ("Gulf of Guinea", (-1.0, -7.5, 6.4, 10.0)),
    ("Great Australian Bight", (-38.5, 118.0, -31.3, 140.0)),
    ("Bismarck Sea", (-6.0, 143.5, -1.5, 152.2)),
    ("Solomon Sea", (-11.5, 147.0, -5.0, 160.0)),
    ("Coral Sea", (-25.0, 142.5, -9.5, 165.0)),
    ("Tasman Sea", (-45.0, 147.0, -25.0, 173.0)),
    ("Weddell Sea", (-78.5, -60.0, -68.0, -20.0)),
    ("Ross Sea", (-79.0, 160.0, -71.5, 180.0)),
    ("Ross Sea", (-79.0, -180.0, -71.5, -157.0)),
]
_BOXES = np.array([box for _, box in _SEAS])

# Where the oceans meet: longitude by latitude, from south to north.
_PACIFIC_ATLANTIC = np.array(
    [
        *[(-60, -67), (-54, -69), (-20, -68), (0, -75), (7, -77.4), (8.4, -77.4), (9, -80.5), (10, -84), (15, -90)],
        *[(17, -95), (20, -100), (30, -106), (66, -120)],
    ],
    dtype=np.float64,
)
_INDIAN_PACIFIC = np.array(
    [
        *[(-60, 147), (-39, 146), (-30, 144), (-11, 142.2), (-9.5, 130), (-8.5, 116), (-6.5, 105.5), (1.5, 103.5)],
        *[(8.5, 98.6), (20, 98), (66, 98)],
    ],
    dtype=np.float64,
)
_ATLANTIC_INDIAN = 20.0  # the meridian of Cape Agulhas


def ocean_names(coordinates: Float[np.ndarray, "n 2"]) -> list[str]:
    """The sea, or else the ocean, of coordinates in degrees, longitude in [-180, 180), as 'Bering Sea'."""
    return [_ocean_name(latitude, longitude) for latitude, longitude in coordinates.tolist()]


def _ocean_name(latitude: float, longitude: float) -> str:
    south, west, north, east = _BOXES.T
    held = (south <= latitude) & (latitude <= north) & (west <= longitude) & (longitude <= east)
    if held.any():
        return _SEAS[int(held.argmax())][0]
    if latitude > 66.0:
        return "Arctic Ocean"
    if latitude < -60.0:
        return "Southern Ocean"
    half = "North" if latitude >= 0.0 else "South"
    if longitude < _along(_PACIFIC_ATLANTIC, latitude):
        return f"{half} Pacific Ocean"
    if longitude < _ATLANTIC_INDIAN:
        return f"{half} Atlantic Ocean"
    return "Indian Ocean" if longitude < _along(_INDIAN_PACIFIC, latitude) else f"{half} Pacific Ocean"


def _along(line: Float[np.ndarray, "k 2"], latitude: float) -> float:
    return float(np.interp(latitude, line[:, 0], line[:, 1]))

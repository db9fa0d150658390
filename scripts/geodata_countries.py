"""What geodata.py decides by hand: which code an outline without one gets, what is cut out of what, usual names.

The assignments follow ISO 3166 and GeoNames, so that an outline and the towns inside it name the same country; they
take no side in any dispute.
"""

from __future__ import annotations

# Outlines of Natural Earth without a usable ISO number; those not named here (reefs, Siachen Glacier) are left out.
OUTLINES = {
    "Akrotiri": "CY",
    "Ashmore and Cartier Is.": "AU",
    "Baikonur": "KZ",
    "Clipperton I.": "FR",
    "Coral Sea Is.": "AU",
    "Cyprus U.N. Buffer Zone": "CY",
    "Dhekelia": "CY",
    "Indian Ocean Ter.": "CX",
    "Kosovo": "XK",
    "N. Cyprus": "CY",
    "Somaliland": "SO",
    "USNB Guantanamo Bay": "CU",
}

# From, to, window (south, west, north, east).
SPLITS = [
    ("FR", "GF", (2.0, -55.0, 6.0, -51.0)),
    ("FR", "GP", (15.7, -62.0, 16.7, -60.9)),
    ("FR", "MQ", (14.2, -61.4, 15.0, -60.7)),
    ("FR", "RE", (-21.6, 55.0, -20.7, 56.0)),
    ("FR", "YT", (-13.2, 44.9, -12.5, 45.4)),
    ("NO", "SJ", (70.5, -10.0, 71.5, -7.0)),
    ("NO", "SJ", (73.5, 9.0, 81.5, 35.0)),
    ("NO", "BV", (-55.0, 3.0, -54.0, 4.0)),
    ("NL", "BQ", (12.0, -68.6, 12.4, -68.1)),
    ("NL", "BQ", (17.4, -63.4, 17.8, -62.8)),
    ("CX", "CC", (-12.5, 96.5, -11.5, 97.2)),
    ("MA", "EH", (20.7, -17.3, 27.667, -8.66)),
    ("RU", "UA", (44.2, 32.3, 46.3, 36.65)),
]

# Places with a code of their own that Natural Earth leaves out at this scale: the three atolls of Tokelau.
CIRCLES = [
    ("TK", -8.56, -172.5, 4.0),
    ("TK", -9.17, -171.81, 7.0),
    ("TK", -9.38, -171.22, 6.0),
]

# Ice shelves, which Natural Earth draws apart: those of Ross, Filchner and Ronne, Amery (south, west, north, east).
BOXES = [
    ("AQ", (-86.0, 160.0, -78.3, -150.0)),
    ("AQ", (-84.0, -84.0, -77.0, -36.0)),
    ("AQ", (-73.5, 67.0, -69.5, 73.0)),
]

# Whose outline includes that of others: a picture from French Guiana was taken in France too.
PARTS = {
    "AU": ["CC", "CX"],
    "CN": ["HK", "MO"],
    "FI": ["AX"],
    "FR": ["GF", "GP", "MQ", "RE", "YT"],
    "NL": ["BQ"],
    "NO": ["BV", "SJ"],
}

DISPLAY = {
    "AX": "Åland Islands",
    "BL": "Saint Barthélemy",
    "BQ": "Bonaire, Saint Eustatius and Saba",
    "CW": "Curaçao",
    "CC": "Cocos (Keeling) Islands",
    "NL": "Netherlands",
    "PS": "Palestine",
    "RE": "Réunion",
    "TL": "Timor-Leste",
    "VA": "Vatican City",
}

ALIASES = {
    "AE": ["UAE", "Emirates"],
    "AX": ["Åland", "Aland"],
    "BA": ["Bosnia", "Bosnia & Herzegovina"],
    "BN": ["Brunei"],
    "CD": ["DR Congo", "DRC", "Congo-Kinshasa", "Zaire"],
    "CG": ["Congo-Brazzaville", "Congo Republic"],
    "CI": ["Cote d'Ivoire"],
    "CN": ["PRC", "Mainland China"],
    "CV": ["Cape Verde"],
    "CZ": ["Czech Republic"],
    "FK": ["Malvinas"],
    "FM": ["Federated States of Micronesia"],
    "GB": ["UK", "Great Britain", "Britain", "United Kingdom of Great Britain and Northern Ireland"],
    "IE": ["Republic of Ireland"],
    "KP": ["DPRK"],
    "KR": ["Korea", "Republic of Korea"],
    "MK": ["Macedonia"],
    "MM": ["Burma"],
    "MO": ["Macau"],
    "NL": ["Holland", "The Netherlands"],
    "PF": ["Tahiti"],
    "PS": ["Palestinian Territories"],
    "RU": ["Russian Federation"],
    "SH": ["Saint Helena"],
    "ST": ["Sao Tome"],
    "SZ": ["Swaziland"],
    "TL": ["East Timor"],
    "TR": ["Türkiye", "Turkiye"],
    "US": ["USA", "US", "U.S.", "U.S.A.", "United States of America", "America"],
    "VA": ["Vatican", "Holy See"],
    "VC": ["Saint Vincent"],
    "VG": ["BVI"],
    "VI": ["US Virgin Islands", "USVI"],
}

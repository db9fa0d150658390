"""Text made safe inside XML 1.0, whatever a file's name holds."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

# What XML 1.0 cannot hold, not even escaped: control signs, halves of surrogate pairs, two that are no characters
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(value: object) -> str:
    """``value`` as text for element content or a quoted attribute; what XML cannot hold becomes U+FFFD."""
    text = _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", str(value))
    return escape(text, {'"': "&quot;", "'": "&apos;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"})

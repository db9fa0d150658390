"""What is asked about pictures and texts: one Question for the library, the commands, the server and the cluster."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypedDict, cast

from earthclip.errors import InputError
from earthclip.locating.evidence import References
from earthclip.locating.movement import WhereaboutsOf
from earthclip.locating.photo_index import open_index
from earthclip.locating.posterior import Area, check_prior
from earthclip.locating.trust import check_confidence
from earthclip.pictures import VIEWS


@dataclass(frozen=True)
class Question:
    """What is asked about every picture of a call. Raises InputError for a value outside its range.

    ``views`` averages the logits over a picture and its mirror image ("flip") or over ten crops ("ten-crop"). With
    ``text``, the logits are the mean of the picture's and the text's, the text's weighted by ``text_weight``.
    ``region`` keeps answers to an area. ``prior`` is what to assume before looking at the picture: "model" favours
    where the model's training photos were taken, "land" treats all land equally. ``refine`` searches between the
    model's candidate places. An answer with less than ``min_confidence`` of the probability within 200 km of its best
    place abstains, and so does that about a picture out of the model's scope, unless ``force_answer``. With ``names``,
    the places of a batch are put in words together, in half the time of one after the other. ``whereabouts`` tells
    where each picture was by its time, see ``locating/movement.py``; not together with ``refine``. Photos
    of each ``index``, given by its folder or opened, are references: places near those that look like the picture gain.
    """

    top_k: int = 5
    views: str = "none"  # one of pictures.VIEWS
    text: str | None = None
    text_weight: float = 0.5
    region: Area | None = None
    prior: str = "model"  # or "land"
    refine: bool = False
    min_confidence: float = 0.0
    force_answer: bool = False
    names: bool = False
    whereabouts: WhereaboutsOf | None = None
    index: Sequence[str | Path | References] = ()

    def __post_init__(self) -> None:
        given = [self.index] if isinstance(self.index, str | Path) else self.index
        object.__setattr__(
            self, "index", tuple(open_index(one) if isinstance(one, str | Path) else one for one in given)
        )
        if self.index and self.refine:
            raise InputError("refine moves places to where the model alone likes them best; leave it out with an index")
        check_prior(self.prior)
        check_confidence(self.min_confidence)
        if self.views not in VIEWS:
            raise InputError(f"unknown views '{self.views}'; expected {', '.join(VIEWS)}")
        if self.refine and self.whereabouts is not None:
            raise InputError("refine searches around the gallery's places; leave it out where times tell of others")
        if not 0 <= self.text_weight <= 1:
            raise InputError(f"text_weight is {self.text_weight}; expected 0 (the picture alone) to 1 (the text alone)")

    def with_fields(self, changed: Mapping[str, Any]) -> Question:
        """This question with some fields changed. Raises InputError for an unknown one, naming the nearest."""
        known = [field.name for field in fields(self)]
        for name in changed:
            if name not in known:
                nearest = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean '{nearest[0]}'?" if nearest else f"known: {', '.join(known)}"
                raise InputError(f"a question has no '{name}'; {hint}")
        return replace(self, **changed) if changed else self

    @property
    def options(self) -> dict[str, object]:
        """Everything that decides the answers, as JSON values: what a resumed run must ask again."""
        text = {} if self.text is None else {"text": self.text, "text_weight": self.text_weight}
        times = {} if self.whereabouts is None else {"times": self.whereabouts.fingerprint}
        region = None if self.region is None else f"{self.region.name} ({self.region.fingerprint})"
        return {
            "top_k": self.top_k,
            "region": region,
            "prior": self.prior,
            "refine": self.refine,
            "min_confidence": self.min_confidence,
            "views": self.views,
            **text,
            **times,
            **({"index": "; ".join(f"{one.name} ({one.fingerprint})" for one in self.indices)} if self.index else {}),
            **({"force_answer": True} if self.force_answer else {}),  # earlier versions did not know it
        }

    @property
    def indices(self) -> tuple[References, ...]:
        """The indices of photos, opened."""
        return cast("tuple[References, ...]", self.index)  # __post_init__ has opened them


class QuestionFields(TypedDict, total=False):
    """The fields of a Question as keyword arguments of ``Locator.locate``; a test holds the two together."""

    top_k: int
    views: str
    text: str | None
    text_weight: float
    region: Area | None
    prior: str
    refine: bool
    min_confidence: float
    force_answer: bool
    names: bool
    whereabouts: WhereaboutsOf | None
    index: Sequence[str | Path | References]

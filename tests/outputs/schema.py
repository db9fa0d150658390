"""The JSON Schema of answers, as strict as a test can be: unknown keys are faults."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema

from earthclip.outputs.structured import answer_schema


def strict_schema() -> dict[str, Any]:
    schema = copy.deepcopy(answer_schema())
    for part in (schema, *schema["$defs"].values()):
        part["additionalProperties"] = False
    return schema


def check_answer(values: dict[str, Any]) -> None:
    """Raise ValidationError unless ``values`` are an answer, of known keys only."""
    jsonschema.validate(values, strict_schema(), jsonschema.Draft202012Validator)

"""What a checkpoint may say of itself: its fields with their types and ranges, and each network's options.

A checkpoint may come from a stranger, so nothing that it says is used before it was checked here.
"""

import inspect
import json
import math
import re
import reprlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema

from galaxylib.errors import CheckpointError

Schema = dict[str, Any]
CURE = "copy the checkpoint again, or train again"
FORMATS = {"printable": str.isprintable, "sha256": lambda text: bool(re.fullmatch("[0-9a-f]{64}", text))}


def whole(least: int, most: int = 10**12) -> Schema:
    """A whole number from `least` to `most`."""
    return {"type": "integer", "minimum": least, "maximum": most}


def real(least: float, most: float = 1e12) -> Schema:
    """A number from `least` to `most`."""
    return {"type": "number", "minimum": least, "maximum": most}


def several(item: Schema, least: int, most: int = 10**6) -> Schema:
    """A list of `least` to `most` items."""
    return {"type": "array", "items": item, "minItems": least, "maxItems": most}


def record(**properties: Schema) -> Schema:
    """Named values, each checked where it is there; others may stand beside them."""
    return {"type": "object", "properties": properties}


def strict(**properties: Schema) -> Schema:
    """Named values that must all be there."""
    return record(**properties) | {"required": sorted(properties)}


TEXT = {"type": "string", "format": "printable", "minLength": 1, "maxLength": 200}
SHARE = real(0, 1)
_SETTING = real(-1e12) | TEXT | {"minLength": 0, "type": ["number", "string", "boolean", "object", "array"]}
_TABLE = record(plain=record(n=whole(0), accuracy=SHARE))

_SHA256 = {"type": "string", "format": "sha256"}
_IMAGES = record(fingerprint=TEXT, simulated={"type": "boolean"}, galaxies=whole(0))
_SOURCE = strict(name=TEXT, labels=TEXT, images=whole(0), drawn=whole(0), measured=whole(0))
_COMPANIONS = record(fingerprint=TEXT, sources=several(_SOURCE, 1, 100))

_MET = {"data": _IMAGES, "split_fingerprint": TEXT, "companions": _COMPANIONS}
_START = record(name=TEXT, sha256=_SHA256, **_MET) | {"required": ["name", "sha256"]}
_AVERAGED = several(record(sha256=_SHA256, hardware=record()) | {"required": ["sha256"]}, 2, 100)
_AVERAGED["items"]["properties"] |= _MET | {"start": _START}

DESCRIPTION = record(
    network=TEXT,
    options=record(),
    preprocess=record(
        size=whole(1, 1024),
        crop=whole(1, 8192),
        mean=several(real(-10, 10), 3, 3),
        std=several(real(1e-4, 10), 3, 3),
    ),
    # Tables of predictions have columns of these names besides the classes'.
    class_names=several(TEXT | {"not": {"enum": ["row", "true", "unlike_training"]}}, 1, 1000)
    | {"uniqueItems": True},
    parameters=whole(1),
    sha256=_SHA256,
    temperature=real(0.01, 100),
    reference=strict(sha256=_SHA256),
    calibrated=record(images=whole(0), part=TEXT, time=TEXT, data=record(), temperature_by=TEXT),
    task=record(name=TEXT, rule=TEXT, trained_on=several(whole(0), 0)) | {"required": ["name"]},
    # Of settings that this library may not know: those of `Recipe` are checked where a run is resumed.
    recipe=record() | {"additionalProperties": _SETTING},
    data=_IMAGES,
    companions=_COMPANIONS,
    start=_START | record(**_START["properties"], averaged_with=_AVERAGED),
    averaged_with=_AVERAGED,
    split_fingerprint=TEXT,
    precision=TEXT,
    best=record(validation_accuracy=SHARE) | {"additionalProperties": real(0)},
    trained_by=record(loop=TEXT, commit=TEXT),
    results=record(simulated=_TABLE, real=_TABLE, held_out=record()),
    seconds=real(0),
    time=TEXT,
    commit={"type": ["string", "null"]},
    python=TEXT,
    packages=record() | {"additionalProperties": TEXT},
    hardware=record(),
)
"""`checkpoint.json`."""

_RATE = real(0, 0.99)
OPTIONS: dict[str, Schema] = {
    "classes": whole(1, 1000),
    "width": real(0.03, 4),
    "dropout": several(_RATE, 2, 2) | _RATE | {"type": ["number", "array"]},
    "blocks": whole(1, 5),
    "hidden": whole(1, 4096),
    "side": whole(32, 1024),
    "bands": whole(3, 3),
    "unpooled": whole(0, 5),
    "widths": several(whole(1, 512), 2, 2),
    "drop_rate": _RATE,
    "drop_path_rate": _RATE,
}
"""What a checkpoint may set of a registered network, or of one of timm's, where the builder takes it.

None of them names a file or an address.
"""

_LIMITS = {"minimum": -65536, "maximum": 65536}
OWN_OPTION: Schema = {"type": ["number", "boolean", "array"], "maxItems": 64} | _LIMITS
OWN_OPTION["items"] = {"type": ["number", "boolean"]} | _LIMITS
"""An option of a network of the reader's own: numbers and switches, but no text, which might be a path."""


def read_json(text: str) -> Any:
    """The content of a JSON text; what is no finite number (NaN, 1e999) stays text, which no range takes.

    Raises:
        ValueError: the text is no JSON.
    """

    def number(digits: str) -> float | str:
        value = float(digits)
        return value if math.isfinite(value) else digits

    return json.loads(text, parse_float=number, parse_constant=str)


@cache
def _validator(schema: str) -> Callable[[Any], Any]:
    """The check of a schema, given as JSON; making one takes longer than reading a description."""
    return fastjsonschema.compile(json.loads(schema), formats=FORMATS, use_default=False)


def check(content: Any, schema: Schema, *, where: str | Path, cure: str = CURE) -> None:
    """Refuse content that does not fit a schema.

    Raises:
        CheckpointError: names `where`, the field, what it must be and what it is, and the cure.
    """
    try:
        _validator(json.dumps(schema, sort_keys=True))(content)
    except fastjsonschema.JsonSchemaValueException as fault:
        what = f"{fault.message.removeprefix('data.')}, and is {reprlib.repr(fault.value)}"
        if fault.rule == "additionalProperties":
            unknown = min(fault.value.keys() - fault.definition["properties"].keys())
            what = f"{'.'.join(fault.path[1:])} must not hold {reprlib.repr(unknown)}"
        raise CheckpointError(f"In {where}, {what}: {cure}.") from fault


def check_options(name: str, options: Mapping[str, Any], *, where: str | Path, cure: str = CURE) -> None:
    """Refuse options that a checkpoint must not set.

    Raises:
        CheckpointError: names the option.
        GalaxyError: no network has that name.
    """
    from galaxylib.networks.registry import entry

    if ":" in name:
        allowed = record() | {"additionalProperties": OWN_OPTION}
    else:
        taken = inspect.signature(entry(name).builder).parameters
        allowed = record(**{option: OPTIONS[option] for option in taken if option in OPTIONS})
        allowed["additionalProperties"] = False
    check({"options": dict(options)}, record(options=allowed), where=where, cure=cure)

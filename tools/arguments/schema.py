"""Builders for the JSON Schemas in tools/list; `create_model/schema.py` says which keywords are left out, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Node = dict[str, Any]


def described(type_: str, description: str = "", **more: Any) -> Node:
    return {"type": type_, **({"description": description} if description else {}), **more}


def string(description: str = "", enum: Sequence[str] = ()) -> Node:
    return described("string", description, **({"enum": list(enum)} if enum else {}))


def list_of(items: Node, description: str = "") -> Node:
    return described("array", description, items=items)


def object_of(properties: dict[str, Node], required: Sequence[str] = (), description: str = "") -> Node:
    needed = {"required": list(required)} if required else {}
    return described("object", description, properties=properties, **needed)


INTEGER = described("integer")


_TAG = object_of({"tag": string(), "value": string()}, ("tag", "value"))


def tags(description: str = "") -> Node:
    return list_of(_TAG, description)

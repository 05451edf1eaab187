"""Values that a client was to fill in and did not: `${user_config.folder}`, or an empty string.

They count as not given, so that a configuration with optional values starts. The names of tools are not among them:
without them more would be offered than was meant.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OPTIONAL = ("api_key_file", "api_url", "files", "outputs", "profile", "retry_seconds", "sandbox_data", "timeout")


def is_placeholder(text: str) -> bool:
    text = text.strip()
    return text.startswith("${") and text.find("}") == len(text) - 1  # a regular expression takes long to compile


def filled_in(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if (text := str(value).strip()) and not is_placeholder(text)]


def without_placeholders(options: Namespace, environ: Mapping[str, str]) -> tuple[Namespace, Mapping[str, str]]:
    """The options and the variables of this server that were filled in."""
    kept = vars(options) | {name: _option(getattr(options, name)) for name in _OPTIONAL}
    own = {name: value for name, value in environ.items() if name.startswith("DECTHINGS_") and filled_in([value])}
    return Namespace(**kept), own


def _option(value: Any) -> Any:
    """The value, or None; of a repeatable option the values, or None."""
    if isinstance(value, list):
        return filled_in(value) or None  # pyright: ignore[reportUnknownArgumentType]
    return value if value is not None and filled_in([value]) else None

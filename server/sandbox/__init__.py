"""The sandbox: an embedded Decthings with the same protocol and its own store, without account or network.

It is for trying out and testing the tools, and follows the API page and the published protocol. Where those say
nothing, it does what seems most sensible, and a comment says so.
"""

from .app import BAD_KEYS, OWN_KEY, create_sandbox
from .serving import serve_sandbox

__all__ = ["BAD_KEYS", "OWN_KEY", "create_sandbox", "serve_sandbox"]

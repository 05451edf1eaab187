"""What can go wrong with the configuration of one client. The others go on."""

from __future__ import annotations


class ClientError(Exception):
    """A client cannot be configured. The message is a sentence for the user, without what the file contains."""


class UnreadableConfiguration(ClientError):
    """The file is not in its format. It is left as it is, since whatever is wrong is the user's to correct."""


class ConfigurationConflict(ClientError):
    """The file is valid, but what it contains leaves no place for the entry."""

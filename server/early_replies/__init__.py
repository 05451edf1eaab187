"""Replies to the first requests of a client from prepared bytes while the server itself is still being imported.

Everything here is light: no module of it imports the SDK, pydantic or httpx before the first reply is sent.
"""

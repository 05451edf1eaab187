"""Answers the first questions of a client from prepared bytes while the server itself is still being imported.

Everything here stays light: no module of it imports the SDK, pydantic or httpx before the first answer is out.
"""

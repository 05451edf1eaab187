"""Models, snapshots and datasets in SQLite, uploads in a folder next to it.

Several servers may share one store, since every client starts its own server. A model that is being created has
the time at which it is ready, so no background job is needed, and a restart changes nothing.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import ErrorReply

Document = dict[str, Any]

_DAY = 24 * 60 * 60

_SCHEMA = """
CREATE TABLE IF NOT EXISTS models (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, created_at INTEGER NOT NULL,
    ready_at INTEGER NOT NULL, document TEXT NOT NULL, UNIQUE (owner, name)
);
CREATE TABLE IF NOT EXISTS snapshots (
    id TEXT PRIMARY KEY, model_id TEXT NOT NULL REFERENCES models ON DELETE CASCADE, document TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS datasets (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, created_at INTEGER NOT NULL, document TEXT NOT NULL
);
"""


class Store:
    """The database and the folder of uploads."""

    def __init__(self, folder: Path) -> None:
        self._database = folder / "decthings.sqlite3"
        self.uploads = folder / "uploads"
        self.uploads.mkdir(parents=True, exist_ok=True)
        self._delete_stale_uploads()
        with self.transaction() as transaction:
            transaction.create_tables()

    def _delete_stale_uploads(self) -> None:
        """Delete incomplete uploads of processes that were killed."""
        for folder in self.uploads.glob("tmp*"):
            if time.time() - folder.stat().st_mtime > _DAY:
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def transaction(self) -> Generator[Transaction]:
        """A context in which changes are made all together or not at all; other writers wait."""
        connection = sqlite3.connect(self._database, timeout=10, isolation_level=None)
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("BEGIN IMMEDIATE")
            yield Transaction(connection)
            connection.execute("COMMIT")
        finally:
            connection.close()  # which rolls back what was not committed


class Transaction:
    """Reads and writes rows in one transaction. Documents are items as getModels and getDatasets return them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def create_tables(self) -> None:
        for statement in _SCHEMA.split(";"):
            self._connection.execute(statement)

    def add_model(self, document: Document, owner: str, ready_at: int) -> None:
        """Add a model.

        Raises:
            ErrorReply: name_already_used.
        """
        with _unique_name():
            self._connection.execute(
                "INSERT INTO models VALUES (?, ?, ?, ?, ?, ?)",
                (
                    document["id"],
                    owner,
                    document["name"],
                    document["createdAt"],
                    ready_at,
                    json.dumps(document),
                ),
            )

    def change_model(self, document: Document) -> None:
        """Replace the document of a model.

        Raises:
            ErrorReply: name_already_used.
        """
        with _unique_name():
            self._connection.execute(
                "UPDATE models SET name = ?, document = ? WHERE id = ?",
                (document["name"], json.dumps(document), document["id"]),
            )

    def models(self) -> list[tuple[Document, str, int]]:
        """All models, oldest first: (document with its snapshots, owner, time at which it is ready)."""
        rows = self._connection.execute("SELECT document, owner, ready_at FROM models ORDER BY created_at, id")
        return [(self._with_snapshots(json.loads(text)), owner, ready_at) for text, owner, ready_at in rows.fetchall()]

    def model(self, model_id: str) -> tuple[Document, str, int] | None:
        query = "SELECT document, owner, ready_at FROM models WHERE id = ?"
        row = self._connection.execute(query, (model_id,)).fetchone()
        return None if row is None else (self._with_snapshots(json.loads(row[0])), row[1], row[2])

    def delete_model(self, model_id: str) -> None:
        self._connection.execute("DELETE FROM models WHERE id = ?", (model_id,))

    def add_snapshot(self, model_id: str, document: Document) -> None:
        row = (document["id"], model_id, json.dumps(document))
        self._connection.execute("INSERT INTO snapshots VALUES (?, ?, ?)", row)

    def add_dataset(self, document: Document, owner: str) -> None:
        row = (document["id"], owner, document["createdAt"], json.dumps(document))
        self._connection.execute("INSERT OR IGNORE INTO datasets VALUES (?, ?, ?, ?)", row)

    def datasets(self) -> list[tuple[Document, str]]:
        rows = self._connection.execute("SELECT document, owner FROM datasets ORDER BY created_at, id")
        return [(json.loads(text), owner) for text, owner in rows]

    def _with_snapshots(self, document: Document) -> Document:
        query = "SELECT document FROM snapshots WHERE model_id = ? ORDER BY rowid"
        rows = self._connection.execute(query, (document["id"],))
        return {**document, "snapshots": [json.loads(text) for (text,) in rows]}


@contextmanager
def _unique_name() -> Generator[None]:
    try:
        yield
    except sqlite3.IntegrityError:
        raise ErrorReply("name_already_used") from None

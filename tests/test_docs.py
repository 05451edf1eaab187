"""What the documents for developers show, run as it is."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from decthings_mcp.server import app
from decthings_mcp.server.settings import Settings
from decthings_mcp.tools.catalog import TOOLS
from mcp import Client
from support import Chat

DOCS = Path(__file__).parents[1] / "docs"


def module_of(document: str, name: str) -> ModuleType:
    """The Python block of the document, as a module of the tools."""
    (source,) = re.findall(r"```python\n(.*?)```", (DOCS / document).read_text(encoding="utf-8"), re.DOTALL)
    module = ModuleType(f"decthings_mcp.tools.{name}")
    module.__package__ = "decthings_mcp.tools"
    sys.modules[module.__name__] = module  # where its annotations are looked up
    exec(compile(source, document, "exec"), module.__dict__)  # noqa: S102
    return module


@pytest.mark.anyio
async def test_the_example_of_adding_a_tool_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "TOOLS", (*TOOLS, module_of("adding-a-tool.md", "count_models").COUNT_MODELS))
    async with Client(app.create_server(Settings(sandbox=True, sandbox_data=tmp_path))) as client:
        chat = Chat(client)
        await chat.new_model("a")
        assert "count_models" in [tool.name for tool in (await client.list_tools()).tools]
        assert (await chat("count_models"))["total"] == 2
        assert (await chat("count_models", searchName="flower"))["total"] == 1
        (problem,) = (await chat("count_models", searchname="a"))["error"]["problems"]
        assert problem["nearest"] == "searchName"


DOCUMENTS = [*DOCS.glob("*.md"), *(DOCS.parent / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))]


@pytest.mark.parametrize("document", sorted(DOCUMENTS), ids=lambda path: path.name)
def test_files_that_a_document_names_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"`((?:tools|server(?!/discover)|tests|scripts|docs)/[\w./-]+)`", text)
    links = re.findall(r"\]\(([\w./-]+)\)", text)
    missing = [name for name in named if not (DOCS.parent / name).exists() and "count_models" not in name]
    missing += [link for link in links if not (document.parent / link).exists()]
    assert missing == []

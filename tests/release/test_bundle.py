"""The bundle for Claude Desktop, packed with the official tool, unpacked, and started as Desktop starts it."""

import json
import sys
from pathlib import Path
from typing import Any

import npm
import pytest
import release
import support
from decthings_mcp.tools.catalog import TOOLS
from generated import ROOT
from mcp import Client, StdioServerParameters
from release_support import run

MANIFEST: dict[str, Any] = json.loads((ROOT / "deploy" / "mcpb" / "manifest.json").read_text(encoding="utf-8"))
_CONFIGURATION = """
import {getMcpConfigForManifest} from %s;
const options = JSON.parse(process.argv.at(-1));
console.log(JSON.stringify(await getMcpConfigForManifest({...options, systemDirs: {}, pathSeparator: "/"})));
"""


def test_the_manifest_lists_the_tools() -> None:
    listed = [{"name": tool.name, "description": tool.title} for tool in TOOLS]
    assert MANIFEST["tools"] == listed


@pytest.fixture(scope="session")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    try:
        release.pack_bundle(wheel, folder / "decthings-mcp.mcpb")
    except npm.Unavailable as problem:
        pytest.skip(str(problem))
    release.mcpb("unpack", folder / "decthings-mcp.mcpb", folder / "unpacked")
    return folder / "unpacked"


def configured(unpacked: Path, user_config: dict[str, Any], **variables: str) -> StdioServerParameters:
    """How a client starts it, from the manifest and what the user has chosen."""
    library = release.mcpb_folder() / "dist" / "index.js"
    manifest = json.loads((unpacked / "manifest.json").read_text(encoding="utf-8"))
    options = {"manifest": manifest, "extensionPath": str(unpacked), "userConfig": user_config}
    script = _CONFIGURATION % json.dumps(library.as_uri())
    made = json.loads(run(npm.node(), "--input-type=module", "-e", script, "--", json.dumps(options), cwd=unpacked))
    uv = str(Path(sys.executable).with_name("uv"))
    # The Python of the tests, since another one would be downloaded.
    environment = support.environment(PYTHONWARNINGS="", UV_PYTHON=sys.executable, **made["env"], **variables)
    environment.pop("VIRTUAL_ENV", None)
    return StdioServerParameters(command=uv, args=made["args"], env=environment, cwd=unpacked)


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("nothing", [{}, {"folders": [], "api_key": ""}])
async def test_a_bundle_without_configuration_says_in_the_chat_what_is_missing(
    nothing: dict[str, Any], unpacked: Path, tmp_path: Path
) -> None:
    async with Client(configured(unpacked, nothing, HOME=str(tmp_path))) as client:
        chat = support.Chat(client)
        assert (await chat("find_models"))["error"]["code"] == "not_configured"
        assert [tool.name for tool in (await client.list_tools()).tools] == [tool.name for tool in TOOLS]


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_bundle_has_the_chosen_folders_and_the_key(
    unpacked: Path, tmp_path: Path, upstream: support.Upstream, onnx_file: bytes
) -> None:
    folders = [tmp_path / "a folder", tmp_path / "another"]
    for folder in folders:
        folder.mkdir()
    (folders[1] / "m.onnx").write_bytes(onnx_file)
    upstream.reply = support.created()
    chosen = {"folders": list(map(str, folders)), "api_key": support.KEY}
    async with Client(configured(unpacked, chosen, DECTHINGS_API_URL=upstream.url)) as client:
        upload = {"type": "upload", "format": "onnx", "data": {"path": str(folders[1] / "m.onnx")}}
        created = await support.Chat(client)("create_model", name="m", description="d", options=upload)
    assert created["result"]["modelId"] == "m-1"
    assert any(support.KEY in value for value in upstream.requests[-1].headers.values())
    assert upstream.last_call()[1] == [onnx_file]

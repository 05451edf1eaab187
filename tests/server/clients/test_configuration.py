"""Adding and removing the entry in files as clients and people write them: all else stays byte for byte."""

import json
import tomllib
from pathlib import Path

import pytest
from decthings_mcp.server.clients import files, json_files, toml_files
from decthings_mcp.server.clients.catalog import BY_ID
from decthings_mcp.server.clients.configuration import Configuration
from decthings_mcp.server.clients.errors import ClientError, ConfigurationConflict, UnreadableConfiguration
from decthings_mcp.server.clients.launch import Launch, to_entry
from generated import assert_up_to_date
from hypothesis import given
from hypothesis import strategies as st

DATA = Path(__file__).parents[2] / "data" / "clients"
EXAMPLES = sorted((DATA / "before").iterdir())
LAUNCH = Launch("/opt/bin/decthings-mcp", ("--sandbox", "--files", "/srv/models"))
KEYS = ("mcpServers", "decthings")
ENTRY = to_entry(LAUNCH, "flat", {})


def configuration(client: str, path: Path) -> Configuration:
    return Configuration(BY_ID[client], path, files.read(path))


def added(client: str, path: Path, launch: Launch = LAUNCH) -> None:
    before = configuration(client, path)
    files.replace(path, before.data, before.with_entry("decthings", launch), keep=before.needs_backup("decthings"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_entry_is_added_to_a_real_file(example: Path) -> None:
    after = configuration(example.stem, example).with_entry("decthings", LAUNCH)
    assert_up_to_date(DATA / "after" / example.name, after.decode())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_line_that_was_there_stays(example: Path) -> None:
    before = example.read_bytes()
    after = configuration(example.stem, example).with_entry("decthings", LAUNCH)
    rest = iter(after)
    assert all(byte in rest for byte in before)  # in order: bytes were only added


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_remove_gives_back_the_bytes_that_were_there(example: Path, tmp_path: Path) -> None:
    path = tmp_path / example.name
    path.write_bytes(example.read_bytes())
    added(example.stem, path)
    added(example.stem, path, LAUNCH._replace(args=("--files", "/elsewhere")))
    assert configuration(example.stem, path).without_entry("decthings") == example.read_bytes()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_remove_without_the_backup_keeps_every_line(example: Path, tmp_path: Path) -> None:
    path = tmp_path / example.name
    path.write_bytes(example.read_bytes())
    added(example.stem, path)
    files.delete_backup(path)
    removed = configuration(example.stem, path).without_entry("decthings")
    assert removed is not None
    if example.stem == "opencode":  # the table of servers was missing; now it is empty
        removed = removed.replace(b',\n  "mcp": {}', b"")
    assert removed == example.read_bytes()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_what_was_changed_since_stays_when_the_entry_is_removed(example: Path, tmp_path: Path) -> None:
    path = tmp_path / example.name
    path.write_bytes(example.read_bytes())
    added(example.stem, path)
    comment = b"# mine\n" if path.suffix == ".toml" else b"// mine\n"
    path.write_bytes(path.read_bytes() + b"\n" + comment)
    removed = configuration(example.stem, path).without_entry("decthings")
    assert removed is not None
    assert removed.endswith(comment)
    assert b"decthings" not in removed


@pytest.mark.parametrize("client", ["cursor", "codex", "opencode", "vscode", "cline-cli", "zed"])
def test_a_file_that_was_made_for_the_entry_is_deleted_with_it(client: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    added(client, path)
    assert configuration(client, path).launch("decthings") == LAUNCH
    assert configuration(client, path).without_entry("decthings") is None


def test_an_empty_file_stays_when_the_entry_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.touch()
    added("cursor", path)
    assert configuration("cursor", path).without_entry("decthings") == b""


@pytest.mark.parametrize(("client", "text"), [
    ("cursor", '{"mcpServers": {"decthings": {"command": "old", "env": {"A": "1"}, "args": [], "disabled": true}}}'),
    ("opencode", '{"mcp": {"decthings": {"type": "local", "command": ["old"], "environment": {"A": "1"}}}}'),
    ("cline-cli", '{"mcpServers": {"decthings": {"transport": {"command": "old", "env": {"A": "1"}}, "x": 1}}}'),
    ("codex", '[mcp_servers.decthings]\ncommand = "old" # mine\nenv = { A = "1" }\nstartup_timeout_sec = 20\n'),
    ("codex", 'mcp_servers.decthings = { command = "old", env = { A = "1" } }\n'),
])  # fmt: skip
def test_an_entry_that_is_there_keeps_what_was_added_to_it(client: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    after = configuration(client, path)._replace(data=configuration(client, path).with_entry("decthings", LAUNCH))
    assert after.launch("decthings") == LAUNCH._replace(env={"A": "1"})
    assert after.text.replace("# mine", "").count("old") == 0
    assert ("# mine" in text) == ("# mine" in after.text)


def test_an_entry_for_a_remote_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"mcpServers": {"decthings": {"url": "http://127.0.0.1/mcp"}}}')
    after = configuration("cursor", path).with_entry("decthings", LAUNCH)
    assert json.loads(after) == {"mcpServers": {"decthings": ENTRY}}


@pytest.mark.parametrize("text", [
    '{"mcpServers": {"a": ', '{"mcpServers": {,}}', "[]", '{"a": 1} {}', "{'a': 1}", '{"a": 01}', "\x00", '{"a": "\n"}',
    "/* open", "[" * 100_000, '{"mcpServers": []}', '{"mcpServers": {"a": 1,,}}',
])  # fmt: skip
def test_a_file_that_is_not_valid_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(text)
    with pytest.raises(ClientError, match=r"mcp\.json was left as it is"):
        configuration("cursor", path).with_entry("decthings", LAUNCH)


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"mcpServers": {}, "mcpServers": {}}')
    with pytest.raises(
        ConfigurationConflict, match=r"mcp\.json was left as it is: It has \"mcpServers\" more than once"
    ):
        configuration("cursor", path).with_entry("decthings", LAUNCH)


@pytest.mark.parametrize("text", ["mcp_servers = {}\n", 'mcp_servers = { a = { command = "a" } }\n'])
def test_toml_that_has_no_place_for_a_table_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationConflict, match=r"config\.toml was left as it is: its servers"):
        configuration("codex", path).with_entry("decthings", LAUNCH)


@pytest.mark.parametrize("data", ['a = "', "a = 1\na = 2\n", "[mcp_servers]\nx", "mcp_servers = 1\n"])
def test_toml_that_is_not_valid_is_refused(data: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(data)
    with pytest.raises(ClientError, match="was left as it is"):
        configuration("codex", path).with_entry("decthings", LAUNCH)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}", encoding="utf-16")
    with pytest.raises(UnreadableConfiguration, match="UTF-8"):
        configuration("cursor", path).with_entry("decthings", LAUNCH)


def test_comments_behind_the_entry_stay_in_toml(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    text = '[mcp_servers.decthings]\ncommand = "x"\nargs = []\n\n# about the terminal\n[tui]\nx = 1 # one\n'
    path.write_text(text)
    removed = configuration("codex", path).without_entry("decthings")
    assert removed == b"\n# about the terminal\n[tui]\nx = 1 # one\n"


def test_a_large_file_takes_a_moment() -> None:
    """Claude Code's can have megabytes; a parser that needs seconds for each would run into the time limit here."""
    text = json.dumps({"history": [{"display": "x" * 50, "n": n, "pasted": {}} for n in range(15_000)]}, indent=2)
    assert json_files.parse(json_files.put(text, KEYS, ENTRY))["mcpServers"] == {"decthings": ENTRY}


BLANK = st.sampled_from(["", " ", "\n", "\r\n\t", "// c\n", '/* {"x": */', "\n  // ]\n  "])
SCALAR = st.sampled_from(["1", "-0.5e3", "true", "null", '"// no"', '"\\"}{"', '"é\\u00e9"'])


def documents() -> st.SearchStrategy[str]:
    """Objects with comments and trailing commas in any place."""

    def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.tuples(st.lists(st.tuples(BLANK, values, BLANK), max_size=3), BLANK, st.booleans()).map(_object)

    def nested(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        arrays = st.lists(st.tuples(BLANK, values), max_size=3)
        return objects(values) | arrays.map(lambda items: "[" + ",".join(b + v for b, v in items) + "]")

    return st.tuples(BLANK, objects(st.recursive(SCALAR, nested, max_leaves=8)), BLANK).map("".join)


def _object(parts: tuple[list[tuple[str, str, str]], str, bool]) -> str:
    items, end, trailing = parts
    members = [f'{before}"k{number}":{after}{value}' for number, (before, value, after) in enumerate(items)]
    return "{" + ",".join(members) + (end + "," if trailing and members else "") + end + "}"


@given(
    documents(), st.sampled_from([("decthings",), ("k0", "decthings"), ("mcpServers", "decthings"), ("k1", "k0", "x")])
)
def test_any_document_keeps_its_values_and_its_characters(text: str, keys: tuple[str, ...]) -> None:
    before = json_files.parse(text)
    try:
        after = json_files.put(text, keys, ENTRY)
    except ConfigurationConflict:
        return  # a key on the way has a value that is no object
    table = json_files.parse(after)
    rest = iter(after)
    assert all(character in rest for character in text if not character.isspace()) or isinstance(before.get("k1"), dict)
    removed = json_files.parse(json_files.drop(after, keys))
    for key in keys[:-1]:
        table, removed, before = table[key], removed[key], before.get(key, {})
    assert table.pop(keys[-1]) == ENTRY
    before.pop(keys[-1], None)
    assert table == removed == before


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_toml_keeps_its_line_ends_and_its_mark(newline: str, bom: str) -> None:
    text = bom + newline.join(["# c", "[mcp_servers.a]", 'command = "a"', ""])
    after = toml_files.put(text, ["mcp_servers", "decthings"], ENTRY)
    assert after.startswith(text)
    assert after.count("\n") == after.count(newline)
    assert tomllib.loads(after.removeprefix(bom))["mcp_servers"]["decthings"] == ENTRY
    assert toml_files.drop(after, ["mcp_servers", "decthings"]) == text

"""Imports go one way: from what serves to what it is built on."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from generated import ROOT, assert_up_to_date

TOOLS = [
    ["decthings_defaults"], ["decthings"], ["results", "local_run"], ["arguments", "files"], ["calls"],
    ["tools", "create_model", "evaluate_model"], ["catalog"],
]  # fmt: skip
SERVER = [
    ["settings, logs, …"], ["stdio", "sandbox", "login"], ["clients"], ["check"], ["app"],
    ["http", "call", "demo", "early_replies"], ["cli"], ["__main__"],
]  # fmt: skip
LAYERS = {
    f"{package}: {group}": (package, number)
    for package, layers in (("tools", TOOLS), ("server", SERVER))
    for number, layer in enumerate(layers)
    for group in layer
}
"""From the lowest to the highest; groups of one layer do not import each other, but for the tools."""

FILES = sorted(path for package in ("server", "tools") for path in (ROOT / package).rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


MODULES = {module_of(path): path for path in FILES}


@dataclass(frozen=True)
class Import:
    importer: str
    imported: str
    line: int
    for_types_only: bool

    def __str__(self) -> str:
        return f"{MODULES[self.importer].relative_to(ROOT)}:{self.line} imports {self.imported}"


def group_of(module: str) -> str:
    """The folder, or the module where it has a layer of its own."""
    package, name, *_ = module.split(".")
    rest = "tools" if package == "tools" else "settings, logs, …"
    return f"{package}: {name}" if f"{package}: {name}" in LAYERS else f"{package}: {rest}"


def imports_of(module: str) -> Iterator[Import]:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        for name in names_in(node, module):
            yield Import(module, name, getattr(node, "lineno", 0), id(node) in for_types)


def names_in(node: ast.AST, module: str) -> list[str]:
    """What an import statement names: our modules as those of this folder, all others as they are."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = ".".join(module.split(".")[: -node.level]) if node.level else ""
    base = ".".join(filter(None, (base, node.module))).removeprefix("decthings_mcp.")
    return [own_module(f"{base}.{alias.name}") or own_module(base) or base for alias in node.names]


def own_module(name: str) -> str | None:
    return name if name in MODULES else f"{name}.__init__" if f"{name}.__init__" in MODULES else None


IMPORTS = [found for module in MODULES for found in imports_of(module)]
OWN = [found for found in IMPORTS if found.imported in MODULES]


def test_imports_go_down() -> None:
    assert len(OWN) > len(MODULES)
    for found in OWN:
        importer, imported = group_of(found.importer), group_of(found.imported)
        (package, height), (other, other_height) = LAYERS[importer], LAYERS[imported]
        up = package == other and importer != imported and height <= other_height
        among_tools = {importer, imported} <= {f"tools: {group}" for group in TOOLS[-2]}
        assert not up or among_tools, f"{found}: {importer} is not above {imported}"


def test_the_tools_do_not_know_who_serves_them() -> None:
    for found in OWN:
        assert not (found.importer.startswith("tools.") and found.imported.startswith("server.")), str(found)


def test_the_client_of_decthings_does_not_know_mcp() -> None:
    for found in IMPORTS:
        if found.importer.startswith("tools.decthings."):
            assert found.imported.partition(".")[0] not in ("mcp", "mcp_types"), str(found)


def test_no_imports_run_in_a_circle() -> None:
    graph = TopologicalSorter[str]()
    for found in OWN:
        if not found.for_types_only and found.importer != found.imported:
            graph.add(found.importer, found.imported)
    try:
        graph.prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' > '.join(reversed(error.args[1]))}")


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=module_of)
def test_a_package_has_a_docstring(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert docstring.partition("\n")[0].endswith((".", ":")), docstring


def test_the_picture_shows_the_imports_between_folders() -> None:
    path = ROOT / "docs" / "architecture.md"
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition("```mermaid\n")
    after = rest[rest.index("```") :]
    assert_up_to_date(path, f"{before}```mermaid\n{picture()}{after}")


def picture() -> str:
    """The groups with the imports between them, without those that other arrows imply."""
    below: dict[str, set[str]] = {}
    for found in OWN:
        importer, imported = group_of(found.importer), group_of(found.imported)
        if importer != imported and not found.for_types_only:
            below.setdefault(importer, set()).add(imported)
    implied: dict[str, set[str]] = {}
    for group in TopologicalSorter(below).static_order():
        implied[group] = {
            beyond for other in below.get(group, ()) for beyond in below.get(other, set()) | implied[other]
        }
    arrows = sorted((label(group), label(other)) for group in below for other in below[group] - implied[group])
    ids = {name: f"n{number}" for number, name in enumerate(sorted({name for arrow in arrows for name in arrow}))}
    nodes = [f'    {ids[name]}["{name}"]' for name in ids]
    return "\n".join(["flowchart TD", *nodes, *(f"    {ids[one]} --> {ids[other]}" for one, other in arrows), ""])


def label(group: str) -> str:
    package, _, name = group.partition(": ")
    return {"tools: tools": "tools/ (the tools)", "server: settings, logs, …": "server/ (settings, logs, …)"}.get(
        group, f"{package}/{name}{'.py' if f'{package}.{name}' in MODULES else ''}"
    )

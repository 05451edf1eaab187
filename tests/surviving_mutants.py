"""What mutation testing has left: a table by module and, with names of modules, each mutant that survived as a diff.

python tests/surviving_mutants.py [PART OF A MODULE'S NAME ...]
scripts/mutants $(python tests/surviving_mutants.py --names)

"Words only" are mutants that change nothing but a sentence, or the case of a name that is compared without it.
"""

import ast
import json
import sys
from collections import Counter
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "build/mutants/mutants/src/decthings_mcp"
COLUMNS = ("killed", "survived", "words only", "no test", "not run")
KINDS = {0: "survived", 5: "no test", 33: "no test", None: "not run"}


class _WithoutWords(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if not isinstance(node.value, str):
            return node
        text = node.value.removeprefix("XX").removesuffix("XX")
        return ast.Constant("words" if " " in text.strip() else node.value.casefold())


def functions_of(path: Path) -> dict[str, str]:
    """The source of each function, mutants and originals, by name."""
    source = path.read_text(encoding="utf-8")
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return {node.name: ast.get_source_segment(source, node) or "" for node in found}


def shape(source: str) -> str:
    (function,) = ast.parse(source).body
    assert isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
    function.name = ""
    return ast.dump(_WithoutWords().visit(function))


def left_of(meta: Path) -> Iterator[tuple[str, str, str]]:
    """The kind and the name of each mutant of a module that was not killed, and the diff of one that survived."""
    functions = functions_of(meta.with_suffix(""))
    for key, code in json.loads(meta.read_text())["exit_code_by_key"].items():
        kind, mutant = KINDS.get(code, "killed"), key.rpartition(".")[2]
        lines: list[str] = []
        if kind == "survived":
            original = functions[mutant.rpartition("__mutmut_")[0] + "__mutmut_orig"]
            if shape(original) == shape(functions[mutant]):
                kind = "words only"
            lines = list(unified_diff(original.splitlines()[1:], functions[mutant].splitlines()[1:], n=2, lineterm=""))
        yield kind, key, "\n".join(lines[3:])


def main() -> None:
    rows = [f"| module | mutants | {' | '.join(COLUMNS)} |", "|---" * (2 + len(COLUMNS)) + "|"]
    for meta in sorted(RESULTS.rglob("*.py.meta")):
        module = meta.relative_to(RESULTS).as_posix().removesuffix(".meta")
        mutants = list(left_of(meta))
        counts = Counter(kind for kind, _, _ in mutants)
        if mutants:
            rows.append(f"| `{module}` | {len(mutants)} | {' | '.join(str(counts[name]) for name in COLUMNS)} |")
        for kind, key, diff in mutants:
            if sys.argv[1:] == ["--names"] and kind not in ("killed", "words only"):
                print(key)
            elif kind == "survived" and any(part in module for part in sys.argv[1:]):
                print(f"{module} {key.rpartition('.')[2]}", diff, sep="\n")
    if sys.argv[1:] != ["--names"]:
        print(*rows, sep="\n")


if __name__ == "__main__":
    main()

"""What mutation testing has left: a table by module and, with names of modules, each mutant that survived as a diff.

python tests/surviving_mutants.py [PART OF A MODULE'S NAME ...]

"Words only" are mutants that change nothing but a sentence, or the case of a name that is compared without it.
"""

import ast
import json
import sys
from collections import Counter
from difflib import unified_diff
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "build/mutants/mutants/src/decthings_mcp"
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


def main() -> None:
    rows = ["| module | mutants | killed | survived | words only | no test | not run |\n|---|---|---|---|---|---|---|"]
    for meta in sorted(RESULTS.rglob("*.py.meta")):
        codes = json.loads(meta.read_text())["exit_code_by_key"]
        if not codes:
            continue
        name = meta.relative_to(RESULTS).as_posix().removesuffix(".meta")
        functions = functions_of(meta.with_suffix(""))
        counts = Counter(KINDS.get(code, "killed") for code in codes.values())
        for mutant in [key.rpartition(".")[2] for key, code in codes.items() if code == 0]:
            original = functions[mutant.rpartition("__mutmut_")[0] + "__mutmut_orig"]
            if shape(original) == shape(functions[mutant]):
                counts["words only"] += 1
            elif any(part in name for part in sys.argv[1:]):
                lines = unified_diff(original.splitlines()[1:], functions[mutant].splitlines()[1:], n=2, lineterm="")
                print(f"{name} {mutant}", *list(lines)[3:], sep="\n")
        counts["survived"] -= counts["words only"]
        columns = ("killed", "survived", "words only", "no test", "not run")
        rows.append(" | ".join([f"| `{name}`", str(len(codes)), *(str(counts[column]) for column in columns)]) + " |")
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()

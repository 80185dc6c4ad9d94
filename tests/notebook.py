"""Runs the code of a notebook, cell after cell, as a kernel would: `notebook.py FILE`.

The value of each cell that ends in an expression is shown.
"""

import ast
import json
import sys
from pathlib import Path


def run(path: Path) -> None:
    """Run all cells in one namespace; the first error ends it."""
    names: dict = {"__name__": "__main__"}
    for number, cell in enumerate(json.loads(path.read_text("utf-8"))["cells"]):
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]), f"{path.name}, cell {number}")
        *before, last = tree.body
        shown = isinstance(last, ast.Expr)
        body = before if shown else tree.body
        exec(compile(ast.Module(body, []), f"cell {number}", "exec"), names)
        if shown:
            code = compile(ast.Expression(last.value), f"cell {number}", "eval")
            print(f"[{number}]", eval(code, names))


if __name__ == "__main__":
    run(Path(sys.argv[1]))

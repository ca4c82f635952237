"""The cells of the notebook, one after the other: by Jupyter where it is, else as a program."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "which_load.ipynb"


def cells() -> list[str]:
    notebook = json.loads(NOTEBOOK.read_text())
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_every_cell_runs() -> None:
    names: dict[str, object] = {}
    for number, cell in enumerate(cells()):
        exec(compile(cell, f"cell {number}", "exec"), names)
    assert names["best"], "the notebook ends with an answer"


def test_every_cell_runs_in_jupyter() -> None:
    if importlib.util.find_spec("nbclient") is None or importlib.util.find_spec("ipykernel") is None:
        pytest.skip("nbclient and ipykernel are not installed")
    import nbclient
    import nbformat

    nbclient.NotebookClient(nbformat.read(NOTEBOOK, as_version=4), timeout=120).execute()


def test_no_output_is_kept() -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    kept = [cell for cell in notebook["cells"] if cell.get("outputs")]
    assert not kept, "outputs of an older version would be read as today's"

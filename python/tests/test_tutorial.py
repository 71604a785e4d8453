"""The notebook, cell by cell."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient


def test_the_tutorial_runs():
    notebook = nbformat.read(Path(__file__).parent.parent / "tutorial.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("<svg" in output.get("data", {}).get("text/html", "") for output in outputs)
    assert not any(output.output_type == "error" for output in outputs)

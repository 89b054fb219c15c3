"""Writes the measured figures into the pages of docs/, from the JSON files that the measurements left.

    python docs/tools/write_docs.py

Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->` by what the function of that block makes, in the
modules `*_blocks.py` beside this one; a test checks that the pages are up to date.
"""

import re

import accuracy_blocks
import evidence_blocks
import input_blocks
import preset_blocks
import run_blocks
import server_blocks
import serving_blocks
import step_blocks
from figures import ROOT

BLOCKS = {
    "demo": accuracy_blocks.demo,
    "demo-details": accuracy_blocks.demo_details,
    "accuracy": accuracy_blocks.accuracy,
    "evidence": evidence_blocks.evidence,
    "home": evidence_blocks.home,
    "presets": preset_blocks.presets,
    "untrained": preset_blocks.untrained,
    "input": input_blocks.input_pipeline,
    "benchmark": step_blocks.step_time,
    "zoo": step_blocks.zoo,
    "gpu": step_blocks.gpu,
    "workers": step_blocks.workers,
    "collectives": step_blocks.collectives,
    "resume": run_blocks.resume,
    "rebalance": run_blocks.rebalance,
    "serving": serving_blocks.export,
    "cascades": serving_blocks.cascades,
    "converters": serving_blocks.converters,
    "load": server_blocks.load,
    "server-bodies": server_blocks.bodies,
    "server-health": server_blocks.health,
}
PAGES = (
    "docs/index.md",
    "docs/models.md",
    "docs/results.md",
    "docs/method.md",
    "docs/serving.md",
    "docs/reliability.md",
)


def filled(text: str) -> str:
    """Return a page with the figures in its blocks."""
    for name, block in BLOCKS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if pattern.search(text):
            text = pattern.sub(lambda match, block=block: match[1] + block() + "\n" + match[2], text)
    return text


def main():
    for page in PAGES:
        path = ROOT / page
        path.write_text(filled(path.read_text()))


if __name__ == "__main__":
    main()

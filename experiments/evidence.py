"""Compares ways to mix sizes with training at one size, at equal cost: a grid of (data, arm, learning rate, seed).

    apt-get download dataset-fashion-mnist && dpkg-deb -x dataset-fashion-mnist_*.deb DIR
    python experiments/evidence.py run --fashion=DIR/usr/share/datasets/fashion-mnist --glyphs=glyphs.npz
    python experiments/evidence.py tables

`run` goes through the grid, the most worth first, and writes docs/evidence/runs/SETTING/ARM/RATE_SEED.json, one file a
run. It may be started several times, to share the work, and stopped at any time by SIGTERM, which loses the run at hand
only: what is there is not done again. A run takes 4 to 10 minutes on one core. The file glyphs.npz is made by
data/make_glyphs.py, the clip art by data/make_clipart.py; settings whose data are not given are left out.

`tables` writes docs/evidence/summary.json, tables.md and difference.png of what is finished.
"""

import os
import pathlib
import signal
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import rich.console
from absl import app, flags
from evidence.arms import ARMS
from evidence.grid import Results, pending

FASHION = flags.DEFINE_string("fashion", None, "Folder with Fashion-MNIST's full *-ubyte.gz files.")
GLYPHS = flags.DEFINE_string("glyphs", None, "The file glyphs.npz.")
CLIPART = flags.DEFINE_string("clipart", None, "The clip art's folder.")
OUTPUT = flags.DEFINE_string("output", "docs/evidence", "Folder of the results.")
CHOSEN = flags.DEFINE_list("settings", ["glyphs", "fashion4k", "clipart"], "Settings, the most worth first.")
CHOSEN_ARMS = flags.DEFINE_list("arms", list(ARMS), "Arms to keep to.")
RATES = flags.DEFINE_list("rates", None, "Learning rates to keep to.")
SEEDS = flags.DEFINE_list("seeds", None, "Seeds to keep to.")
JOBS = flags.DEFINE_integer("jobs", 1, "Threads of this process.", lower_bound=1)
LIMIT = flags.DEFINE_integer("limit", None, "Runs after which to stop.", lower_bound=1)

WAIT = 30  # seconds, while other processes are at the runs that decide which come next
console = rich.console.Console(highlight=False, soft_wrap=True)


def load_settings() -> dict:
    """Return data by the name of their setting, for those whose path was given."""
    from evidence.settings import SETTINGS  # here: it loads TensorFlow

    if unknown := [name for name in CHOSEN.value if name not in SETTINGS]:
        raise app.UsageError(f"--settings: must be of {', '.join(SETTINGS)}, got {', '.join(unknown)}")
    paths = {"fashion": FASHION.value, "glyphs": GLYPHS.value, "clipart": CLIPART.value}
    chosen = {name: SETTINGS[name] for name in CHOSEN.value}
    return {name: setting.load(paths[setting.source]) for name, setting in chosen.items() if paths[setting.source]}


def wanted(results: Results, settings: list[str], failed: set) -> list:
    """Return the pending runs that the flags leave, without those that failed here."""
    seeds = None if SEEDS.value is None else [int(seed) for seed in SEEDS.value]
    rates = None if RATES.value is None else [float(rate) for rate in RATES.value]
    found = pending(results, settings, CHOSEN_ARMS.value, seeds, rates)
    return [run for run in found if run not in failed]


def run_grid() -> None:
    """Do pending runs until none is left."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(JOBS.value)
    tf.config.threading.set_inter_op_parallelism_threads(JOBS.value)
    from evidence.runs import run_one
    from evidence.settings import SETTINGS

    results, data, failed, count = Results(pathlib.Path(OUTPUT.value) / "runs"), load_settings(), set(), 0
    if not data:
        raise app.UsageError("no data: give --glyphs, --fashion or --clipart")
    while runs := wanted(results, list(data), failed):
        for run in runs:
            with results.claimed(run) as mine:
                if not mine:
                    continue
                start = time.monotonic()
                try:
                    result = run_one(run, SETTINGS[run.setting], data[run.setting])
                except Exception:  # one arm that fails must not end the others' runs
                    console.print_exception()
                    failed.add(run)
                    break
                results.write(run, result)
            count += 1
            base = str(SETTINGS[run.setting].base_size)
            share = result["test"][base]["correct"] / result["test"][base]["count"]
            console.print(f"{time.strftime('%H:%M:%S')} {run.file} {100 * share:.2f} {time.monotonic() - start:.0f} s")
            break
        else:
            time.sleep(WAIT)
        if count == LIMIT.value:
            return


def write_tables() -> None:
    """Write summary, tables and picture of what is finished."""
    from evidence.summary import summarize
    from evidence.tables import write

    output = pathlib.Path(OUTPUT.value)
    write(summarize(Results(output / "runs"), CHOSEN.value), output)
    console.print(f"summary.json, tables.md and difference.png in {output}")


COMMANDS = {"run": run_grid, "tables": write_tables}


def main(arguments):
    if len(arguments) != 2 or arguments[1] not in COMMANDS:
        raise app.UsageError("say `run` or `tables` after the script's name")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    COMMANDS[arguments[1]]()


if __name__ == "__main__":
    app.run(main)

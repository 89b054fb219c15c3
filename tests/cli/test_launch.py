"""`mixsize launch` starts real processes, tells each who it is, and ends them together."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from keras_mixsize.cli import command, launch

COMMAND = [sys.executable, "-m", "keras_mixsize", "launch"]
SAY = "import json, os; print(json.loads(os.environ['TF_CONFIG'])['task']['index'], os.sched_getaffinity(0))"


def start(workers, worker, *flags):
    """Return the exit status, the lines of each worker, and all output."""
    arguments = [*COMMAND, f"--workers={workers}", *flags, "--", *map(str, worker)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
    lines = {index: [] for index in range(workers)}
    for line in done.stdout.splitlines():
        if line.startswith("["):
            index, _, text = line[1:].partition("] ")
            lines[int(index)].append(text)
    return done.returncode, lines, done.stdout + done.stderr


def test_every_worker_gets_its_number_and_cores():
    status, lines, _ = start(2, [sys.executable, "-c", SAY], "--pin")
    cores = sorted(os.sched_getaffinity(0))
    shares = [set(cores[: len(cores) // 2]), set(cores[len(cores) // 2 :])]
    assert status == 0 and lines == {0: [f"0 {shares[0]}"], 1: [f"1 {shares[1]}"]}


def test_the_others_are_killed_when_one_dies_and_all_start_again(tmp_path):
    code = (
        "import json, os, pathlib, signal, sys, time\n"
        "mine = json.loads(os.environ['TF_CONFIG'])['task']['index']\n"
        f"seen = pathlib.Path({str(tmp_path)!r}) / str(mine)\n"
        "first = not seen.exists(); seen.touch()\n"
        "while first and mine == 1 and not seen.with_name('0').exists(): time.sleep(0.01)\n"
        "if first and mine == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "if first: time.sleep(3000)\n"
        "print('done')\n"
    )
    status, lines, output = start(2, [sys.executable, "-c", code], "--restarts=1")
    assert status == 0 and lines[0] == lines[1][-1:] == ["done"] and "starting all workers again (1 of 1)" in output
    for path in tmp_path.iterdir():
        path.unlink()
    assert start(2, [sys.executable, "-c", code])[0] == 128 + signal.SIGKILL


def test_sigterm_is_handed_to_all():
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(143)))\n"
        "print('ready', flush=True); time.sleep(3000)\n"
    )
    arguments = [*COMMAND, "--workers=2", "--restarts=3", "--", sys.executable, "-c", code]
    started = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    lines = [started.stdout.readline() for _ in range(2)]
    started.send_signal(signal.SIGTERM)
    rest = started.communicate(timeout=300)[0]
    assert sorted(lines) == ["[0] ready\n", "[1] ready\n"] and started.returncode == 143
    assert "[0] saved" in rest and "[1] saved" in rest


def test_a_worker_may_be_this_very_command():
    status, lines, _ = start(1, ["mixsize", "--version"])
    assert status == 0 and lines[0][0].startswith("keras_mixsize ")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "give either --workers"),
        (["--workers=2", "--hosts=a:1,b:2"], "give either --workers"),
        (["--hosts=a:1,b:2"], r"--index must lie in [0, 2), got None"),
        (["--hosts=a:1,b:2", "--index=2"], r"--index must lie in [0, 2), got 2"),
        (["--hosts=a,b:2", "--index=0"], "--hosts must be host:port, got a"),
        (["--hosts=a:1,b:2", "--index=0", "--restarts=1"], "--restarts needs --workers"),
        (["--workers=2"], "the workers' command is missing"),
        (["--workers=1", "nowhere/such-a-program"], "nowhere/such-a-program"),
        (["--workers=1000", "--pin", "true"], "--pin needs a core for each of the 1000 workers"),
    ],
)
def test_what_it_cannot_start_is_refused(flags, message, capsys):
    arguments = flags if "missing" in message or flags[-1:] == ["true"] else [*flags, "--", "true"]
    assert command.run(launch, ["mixsize launch", *(flags if "nowhere" in message else arguments)]) == 2
    assert message in capsys.readouterr().err


def test_one_host_of_several_is_told_who_it_is():
    code = "import os; print(os.environ['TF_CONFIG'])"
    arguments = [*COMMAND, "--hosts=a:1,b:2", "--index=1", "--", sys.executable, "-c", code]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
    config = json.loads(done.stdout)
    assert config == {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}


def test_the_script_of_a_checkout_is_the_command():
    script = pathlib.Path(__file__).parents[2] / "experiments/launch.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stdout.startswith("launch.py: start the workers")

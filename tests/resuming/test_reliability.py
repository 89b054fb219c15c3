"""Real training processes that are killed, starved of disk or robbed of a checkpoint end as if nothing had happened.

Run by `make test-reliability`, which also writes the table of what was done and lost to docs/reliability.md. "As if
nothing had happened" is bitwise: the same weights, optimizer, seed generators, metrics and logs of each epoch.
"""

import contextlib
import os
import pathlib
import random
import shutil
import subprocess

import pytest
from resume_worker import logs_of, run_worker, run_workers

from keras_mixsize.resuming import checkpoints

pytestmark = pytest.mark.slow
SEED = int(os.environ.get("RELIABILITY_SEED", "0"))
PAGE = os.environ.get("RELIABILITY_PAGE")
BEGIN, END = "<!-- table -->\n", "<!-- /table -->\n"
EPOCHS, STEPS, EVERY = 3, 45, 3
rows = []


@pytest.fixture(scope="module", autouse=True)
def table():
    """Print what the tests noted, and put it into the page if one is given."""
    yield
    lines = ["| fault | times | survived, bitwise equal | steps trained again |", "|---|---|---|---|"]
    lines += [f"| {fault} | {times} | {survived} | {lost} |" for fault, times, survived, lost in rows]
    text = "\n".join(lines) + "\n"
    print("\n" + text)
    if PAGE:
        page = pathlib.Path(PAGE)
        before, _, rest = page.read_text().partition(BEGIN)
        page.write_text(before + BEGIN + text + END + rest.partition(END)[2])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a run that nothing happens to gives: the sums of its state, and its logs."""
    directory = tmp_path_factory.mktemp("whole")
    return run_worker(directory, epochs=EPOCHS)[1], logs_of(directory)


def newest_step(directory):
    found = checkpoints.paths(directory / "run")
    return int(found[-1].name.rsplit("-", 1)[1]) if found else 0


def note(fault, lost, equal, times=1):
    """Add a row to the table, and fail if the outcome was another one."""
    rows.append((fault, times, times if equal else 0, f"{lost} at most" if times > 1 else lost))
    assert equal


def finish(directory, whole, **options):
    """Run to the end; return whether it is as if nothing had happened."""
    return (run_worker(directory, epochs=EPOCHS, **options)[1], logs_of(directory)) == whole


def test_ten_kills_in_one_run_two_of_them_within_the_resume(tmp_path, whole):
    draw = random.Random(SEED)
    steps = iter(sorted(draw.sample(range(2, STEPS), 8)))
    lost = []
    for number in range(10):
        if number in (3, 7):  # while a checkpoint is read, and when half of the resume is done
            death = {"where": "read" if number == 3 else "assign", "at": 1}
        else:
            death = {"where": "moment", "at": next(steps), "delay": draw.uniform(0, 0.02)}
        before = newest_step(tmp_path)
        assert run_worker(tmp_path, death, epochs=EPOCHS)[0] == -9
        at = death["at"] if death["where"] == "moment" else before
        lost.append(max(0, at - newest_step(tmp_path)))
    note("SIGKILL at random steps, two within the resume", max(lost), finish(tmp_path, whole), times=10)
    assert max(lost) <= 2 * EVERY  # one interval, and one more while the last checkpoint was being written


@pytest.mark.parametrize("call", [2, 4])
def test_a_kill_while_a_checkpoint_is_written(tmp_path, whole, call):
    assert run_worker(tmp_path, {"where": "write", "at": call}, epochs=EPOCHS)[0] == -9
    assert not checkpoints.paths(tmp_path / "run")  # the first one is not whole, so nothing of it counts
    note(f"SIGKILL while a checkpoint is written (flush {call})", "all since the last", finish(tmp_path, whole))


def test_a_kill_under_two_replicas(tmp_path):
    directories = [tmp_path / name for name in ("whole", "killed")]
    for directory in directories:
        directory.mkdir()
    whole = run_worker(directories[0], epochs=EPOCHS, replicas=2)[1], logs_of(directories[0])
    assert run_worker(directories[1], {"where": "step", "at": 23}, epochs=EPOCHS, replicas=2)[0] == -9
    lost = 23 - newest_step(directories[1])
    note("SIGKILL under MirroredStrategy of two", lost, finish(directories[1], whole, replicas=2))


@pytest.fixture(scope="module")
def whole_of_two(tmp_path_factory):
    """What two workers to whom nothing happens give."""
    directory = tmp_path_factory.mktemp("whole_of_two")
    return run_workers(2, directory, epochs=EPOCHS)[1], logs_of(directory)


def test_each_of_two_workers_dies_and_all_are_started_again(tmp_path, whole_of_two):
    lost = []
    for worker, step in ((0, 17), (1, 31)):
        assert run_workers(2, tmp_path, {"where": "step", "at": step, "worker": worker}, epochs=EPOCHS)[0] == 137
        lost.append(step - newest_step(tmp_path))
    death = {"where": "step", "at": 40, "worker": 1, "once": str(tmp_path / "died")}
    status, facts = run_workers(2, tmp_path, death, ["--restarts=1"], epochs=EPOCHS)
    assert (tmp_path / "died").exists() and status == 0
    equal = (facts, logs_of(tmp_path)) == whole_of_two
    note("SIGKILL of one of two workers, once with a restart by the launcher", max(lost), equal, times=3)


def test_sigterm_to_one_of_two_workers_stops_both_and_loses_little(tmp_path, whole_of_two):
    death = {"where": "sigterm", "at": 20, "worker": 1}
    assert run_workers(2, tmp_path, death, epochs=EPOCHS, every_steps=None)[0] == 143
    saved = newest_step(tmp_path)
    assert saved >= 20  # later, because workers ask each other about once a second
    equal = (run_workers(2, tmp_path, epochs=EPOCHS, every_steps=None)[1], logs_of(tmp_path)) == whole_of_two
    note("SIGTERM to one of two workers", 0, equal)


def test_no_worker_ends_before_the_first_has_written(tmp_path):
    """A scheduler that sees one worker end kills the others."""
    death = {"where": "sigterm", "at": 8, "worker": 1}
    assert run_workers(2, tmp_path, death, every_steps=None, slow=3.0)[0] == 143
    (written,) = checkpoints.paths(tmp_path / "run")
    assert [(tmp_path / f"log.jsonl.seen.{worker}").read_text() for worker in range(2)] == [str(written)] * 2


def test_sigterm_loses_nothing(tmp_path, whole):
    death = {"where": "sigterm", "at": 20}
    assert run_worker(tmp_path, death, epochs=EPOCHS, every_steps=None)[0] == 143
    note("SIGTERM", 20 - newest_step(tmp_path), finish(tmp_path, whole))


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run that was killed at step 23."""
    directory = tmp_path_factory.mktemp("killed")
    run_worker(directory, {"where": "step", "at": 23}, epochs=EPOCHS)
    return directory


@pytest.mark.parametrize("name, harm", [("truncated", truncate), ("bit flipped", flip_bit)])
def test_a_damaged_newest_checkpoint_costs_one_interval(tmp_path, killed, whole, name, harm):
    directory = shutil.copytree(killed, tmp_path / "run")
    newest = checkpoints.paths(directory / "run")[-1]
    harm(newest / "state.data-00000-of-00001")
    equal = finish(directory, whole)
    assert (newest.parent / f"damaged-{newest.name}").is_dir()
    note(f"SIGKILL, and the newest checkpoint {name}", 23 - int(newest.name[-10:]) + EVERY, equal)


@contextlib.contextmanager
def small_disk(directory, kilobytes):
    """Mount a disk of so many kilobytes."""
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(directory)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a tmpfs cannot be mounted here; it takes root")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def test_a_directory_that_cannot_be_written_is_refused_before_training(tmp_path):
    with small_disk(tmp_path / "disk", 100) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        (tmp_path / "run").symlink_to(disk)
        with pytest.raises(RuntimeError, match="directory must be one that this process may write"):
            run_worker(tmp_path, epochs=EPOCHS)


def size_of(checkpoint):
    """Return the kilobytes that a checkpoint takes on a disk of 4 kB pages."""
    return sum(4 * -(-path.stat().st_size // 4096) for path in checkpoint.iterdir())


@pytest.mark.parametrize("room, lost", [(2.6, 2 * EVERY), (1.6, 23)])
def test_a_full_disk_stops_no_training(tmp_path, killed, whole, room, lost):
    kilobytes = int(room * size_of(checkpoints.paths(killed / "run")[-1]))
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        (tmp_path / "run").symlink_to(disk)
        assert run_worker(tmp_path, {"where": "step", "at": 23}, epochs=EPOCHS, keep=9)[0] == -9
        again = 23 - newest_step(tmp_path)
        equal = finish(tmp_path, whole, keep=9)
    note(f"disk of {kilobytes} kB full, room for {room} checkpoints, and SIGKILL", again, equal)
    assert again <= lost


def test_sigterm_on_a_full_disk_says_so_by_its_status_and_leaves_the_last_checkpoint(tmp_path, killed, whole):
    kilobytes = int(1.6 * size_of(checkpoints.paths(killed / "run")[-1]))
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        (tmp_path / "run").symlink_to(disk)
        assert run_worker(tmp_path, {"where": "sigterm", "at": 20}, epochs=EPOCHS)[0] == os.EX_IOERR
        again = 20 - newest_step(tmp_path)
        equal = finish(tmp_path, whole)
    note(f"disk of {kilobytes} kB full, and SIGTERM, answered by status 74", again, equal)
    assert 0 < again < 20

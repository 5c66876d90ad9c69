# All commands of the project: CI runs the same recipes as you do.
set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments

export PYTHONHASHSEED := "0"

# One more than there are cores: a test that waits for a server, a disk or a terminal leaves its core to another.
workers := "$((" + num_cpus() + " + 1))"

# list the recipes
_default:
    @just --list --unsorted

# train the tutor, serve it, replay a week of learners and open the console on an incident
demo *args:
    @python -m minitutor demo "$@"

# run the test suite without the longest tests
test *args:
    pytest -n {{ workers }} --dist loadfile --no-loadscope-reorder -m "not long" "$@"

# run the tests that `test` leaves out: trainings, whole weeks, simulations, fleets, faults and hostile texts by the hundred
test-long *args:
    pytest -n {{ workers }} --dist loadfile --no-loadscope-reorder -m long "$@"

# run the fast checks while you work: lint, then the unit and contract tests that need no trained model, without those that were slow before
check *args: lint
    pytest -q -n {{ workers }} --dist worksteal -m "not slow and not long" tests/unit tests/contract "$@"

# check types, style and format
lint:
    ruff check .
    ruff format --check .
    mypy

# regenerate the corpora and eval sets; fails if a hash differs from the committed .dvc file
corpus *args:
    python -m minitutor corpus "$@"

# train a model, with an MLflow run and a bundle as the result
train *args: corpus
    python -m minitutor train "$@"

# route all traffic back to an entry that was stable before, and hold the one it replaces
rollback ref reason="rolled back by hand":
    spine rollback "$1" --reason "$2"

# evaluate an entry twice on the baseline's eval set, and run the gate on the new report
gate ref *args:
    spine evaluate "$1" --fetch --twice --out .spine/report.json
    spine gate "$1" --report .spine/report.json "${@:2}"

# check every ledger head on the witness branch, then add the newest one and push it
witness folder=".spine/witness":
    spine verify --witness "$1/ledger.txt" --keep
    git -C "$1" add ledger.txt
    git -C "$1" diff --cached --quiet || git -C "$1" commit --message "Witness the ledger" --only ledger.txt
    git -C "$1" push origin HEAD:witness

# measure every budget, and what one would use instead, in the same run
bench *args:
    python bench/run.py "$@"

# take the README's pictures of the console, and its recording, from the demo's data
shots:
    python bench/shots.py

# pin every package with hashes; --upgrade takes the newest versions
lock *args:
    python bench/lock.py "$@"

# delete the ledger, traces, runs and cache of this clone
clean:
    rm -rf .spine demo

# The only orchestrator: what CI runs is what you run.
set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments

export PYTHONHASHSEED := "0"

# One more than there are cores: a test that waits for a server, a disk or a terminal leaves its core to another.
workers := "$((" + num_cpus() + " + 1))"

# list the recipes
_default:
    @just --list --unsorted

# train the tutor, serve it, replay its learners and open the console on one false accept
demo *args:
    @python -m minitutor demo "$@"

# run the whole test suite
test *args:
    pytest -n {{ workers }} --dist loadfile --no-loadscope-reorder "$@"

# the fast round while you work: lint, then unit and contract tests that need no trained model
check *args: lint
    pytest -q -n {{ workers }} --dist worksteal -m "not slow" tests/unit tests/contract "$@"

# types, style and format
lint:
    ruff check .
    ruff format --check .
    mypy

# build both corpora and the eval set again; fails when a hash differs from the committed .dvc file
corpus *args:
    python -m minitutor corpus "$@"

# train one model into a bundle, as an MLflow run
train *args: corpus
    python -m minitutor train "$@"

# go back to an entry that was stable before, and hold the one that is left
rollback ref reason="rolled back by hand":
    spine rollback "$1" --reason "$2"

# evaluate an entry twice over the eval set of the baseline, and gate the fresh report
gate ref *args:
    spine evaluate "$1" --fetch --twice --out .spine/report.json
    spine gate "$1" --report .spine/report.json "${@:2}"

# check every head on the witness branch against the ledger, then add the newest one and push it
witness folder=".spine/witness":
    spine verify --witness "$1/ledger.txt" --keep
    git -C "$1" add ledger.txt
    git -C "$1" diff --cached --quiet || git -C "$1" commit --message "Witness the ledger" --only ledger.txt
    git -C "$1" push origin HEAD:witness

# every budget beside what one would use instead, measured in the same run
bench *args:
    python bench/run.py "$@"

# take the README's pictures from the real app on the demo's data
shots:
    python bench/shots.py

# pin every package; --upgrade takes the newest of each
lock *args:
    python bench/lock.py "$@"

# forget the ledger, the traces, the runs and the cache of this clone
clean:
    rm -rf .spine

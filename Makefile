# make test, make demo, make model: each sets up all it needs in .venv and is quick when run again.

.DEFAULT_GOAL := help
.PHONY: help setup tag test test-slow test-flink test-wheel lint types format demo model fuzz bench clean \
	flink-cluster flink-cluster-stop

# The first Python that every locked wheel exists for; PYTHON=... chooses another.
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null \
	&& echo $$p && break; done)
BIN := .venv/bin
STAMP := .venv/installed
SEED ?= 0
TAGGER := pretrained/MSD_musicnn

help:
	@echo "make tag        tags for your own music: make tag FILES=\"song.mp3 folder\""
	@echo "make test       lint, formatting, types and the fast tests"
	@echo "make demo       sample, build, train, evaluate, export and predict, in ./demo (SEED=0, SHUFFLE=1)"
	@echo "make model      a model to try the service with, in ./model (from make demo's, if that was run)"
	@echo "make test-slow  the tests that take minutes"
	@echo "make test-flink the tests on a real Flink cluster: minutes, Java"
	@echo "make test-wheel wheels in fresh environments: the base, and [data] alone; minutes, PyPI"
	@echo "make fuzz       100,000 damaged audio files through the decoders: minutes"
	@echo "make bench      the measurements"
	@echo "make flink-cluster, make flink-cluster-stop   a small real Flink cluster on this machine"
	@echo "make format     put the formatting right"
	@echo "make clean      remove .venv, ./demo, ./model, ./pretrained and caches"

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml setup.py
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or 3.12 found: install one" \
	"(Debian, Ubuntu: apt-get install python3 python3-venv; or pyenv install 3.11)" \
	"or name it: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null || { echo \
	"error: $(PYTHON) is not a Python 3.11 or 3.12: name one with make PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "error: $(PYTHON) has no venv" \
	"module: install it (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 2; }
	@echo "installing into .venv (some minutes, once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e '.[all,test]'
	@$(BIN)/python -c 'import sounddevice' 2>/dev/null || echo \
	"hint: recording from a microphone needs PortAudio (Debian, Ubuntu: apt-get install libportaudio2)"
	@touch $@

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy

test: lint types
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not flink and not wheel"

test-flink: $(STAMP)
	@$(BIN)/python -m pytest -m flink tests/beam_pipelines/test_flink.py

test-slow: $(STAMP)
	@$(BIN)/python -m pytest -m "slow and not flink"

test-wheel: $(STAMP)
	@$(BIN)/python -m pytest -m wheel tests/packaging

format: $(STAMP)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

tag: $(STAMP)
	@$(if $(strip $(FILES)),,echo 'error: name files or folders: make tag FILES="song.mp3 folder"' >&2; exit 2)
	@test -e $(TAGGER) || $(BIN)/python -m trainer.import_pretrained $(notdir $(TAGGER)) --output $(TAGGER)
	@$(BIN)/python -m serving.lite $(TAGGER) $(FILES)

demo: $(STAMP)
	@$(BIN)/python scripts/demo.py --output demo --seed $(SEED) $(if $(SHUFFLE),--shuffle_labels)

model: $(STAMP)
	@$(BIN)/python -m scripts.model

fuzz: $(STAMP)
	@$(BIN)/python -m tests.fuzz.audio

bench: model
	@$(BIN)/python -m tests.benchmarks.start
	@$(BIN)/python -m tests.benchmarks.train_step
	@$(BIN)/python -m tests.benchmarks.input
	@$(BIN)/python -m tests.benchmarks.rehearsal demo/rehearsal
	@$(BIN)/python -m tests.benchmarks.folder
	@test -z "$$ORPHEUS_FIXTURES" || $(BIN)/python -m tests.benchmarks.retag

flink-cluster: $(STAMP)
	@$(BIN)/python -m scripts.flink_cluster start

flink-cluster-stop: $(STAMP)
	@$(BIN)/python -m scripts.flink_cluster stop

clean:
	rm -rf .venv demo model pretrained build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

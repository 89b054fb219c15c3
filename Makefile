# make demo: the main job on the embedded data.  make test: the tests.  Both set up .venv by themselves, once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: demo test test-slow test-reliability lint benchmark clean

demo: $(INSTALLED)
	$(BIN)/python experiments/demo.py

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

test-reliability: $(INSTALLED)
	RELIABILITY_PAGE=docs/reliability.md $(BIN)/python -m pytest -m slow -s tests/test_reliability.py

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

benchmark: $(INSTALLED)
	$(BIN)/python experiments/benchmark.py

# tensorflow-cpu takes the place of requirements.txt's tensorflow: the two wheels hold the same files.
$(INSTALLED): requirements.txt setup.py Makefile
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	grep -v '^tensorflow>' requirements.txt > $(VENV)/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check 'tensorflow-cpu>=2.21' -r $(VENV)/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check 'pytest>=9' 'hypothesis>=6.150' 'pytest-xdist>=3.8' 'ruff>=0.15' 'tensorboard>=2.20'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache

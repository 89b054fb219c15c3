# make demo: the main job on the embedded data.  make test: the tests.  Both set up .venv by themselves, once.
# make serve: a server of a small network with a web page; PORT=8081 for another port, SERVED=FOLDER for another export,
# GRPC_PORT=8001 for gRPC as well.
# make gpu: all that only a GPU can tell, into docs/benchmarks/gpu*.json; GPU_PYTHON=python of an environment whose TensorFlow sees it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
DOCS_INSTALLED := $(VENV)/docs-installed
export TF_CPP_MIN_LOG_LEVEL ?= 2
SERVING_VENV := .venv-serving
SERVING_INSTALLED := $(SERVING_VENV)/installed
GPU_PYTHON ?= python3
GPU_RESULTS ?= docs/benchmarks
PORT ?= 8080
SERVED ?= runs/serve/exported

.PHONY: demo serve test test-slow test-reliability lint benchmark gpu docs clean

demo: $(INSTALLED)
	$(BIN)/python experiments/demo.py

serve: $(SERVING_INSTALLED) $(if $(filter runs/serve/exported,$(SERVED)),$(SERVED)/1/saved_model.pb)
	$(SERVING_VENV)/bin/mixsize serve $(SERVED) --port=$(PORT) $(if $(GRPC_PORT),--grpc_port=$(GRPC_PORT))

runs/serve/exported/1/saved_model.pb: runs/serve/b+/model.keras $(INSTALLED)
	@echo "exporting $< for 12, 16, 24 and 32 px"
	rm -rf runs/serve/exported
	$(BIN)/mixsize export '$(<D)' --sizes=12,16,24,32 --calibration_batches=25 --output=runs/serve/exported

runs/serve/b+/model.keras: | $(INSTALLED)
	@echo "training a small B+ network on the embedded images, 2 to 3 minutes on 2 cores"
	$(BIN)/mixsize train --recipe=embedded/resnet8/b+ --epochs=16 --sizes=16,32 --calibration_batches=25 --output=runs/serve/b+

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

test-reliability: $(INSTALLED)
	RELIABILITY_PAGE=docs/reliability.md $(BIN)/python -m pytest -m slow -s tests/resuming/test_reliability.py

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

benchmark: $(INSTALLED)
	$(BIN)/python benchmarks/step_time.py

# In order of worth, each saves as it goes, and one that fails does not keep the others from being run
gpu:
	-$(GPU_PYTHON) benchmarks/gpu.py --output=$(GPU_RESULTS)/gpu.json $(GPU_OPTIONS)
	-$(GPU_PYTHON) benchmarks/first_steps.py --model=resnet44 --regime=cifar/d+ --output=$(GPU_RESULTS)/gpu_first_steps.json
	-$(GPU_PYTHON) benchmarks/steps_per_call.py --model=resnet44 --size=32 --steps=25 --output=$(GPU_RESULTS)/gpu_steps_per_call.json
	-$(GPU_PYTHON) benchmarks/batch_norm.py --cases=efficientnet_b0/mixed_bfloat16/224/64,wrn28_10/mixed_bfloat16/32/64 \
		--steps=20 --output=$(GPU_RESULTS)/gpu_batch_norm.json
	$(GPU_PYTHON) -m pytest -m "" tests/training/test_gpu.py tests/training/test_batch_norm.py

docs: $(DOCS_INSTALLED)
	NO_MKDOCS_2_WARNING=1 NOTEBOOKS=true $(BIN)/python -m mkdocs build --strict
	for notebook in train calibrate finetune export; do \
		$(BIN)/jupytext --quiet --to ipynb --output build/site/notebooks/$$notebook.ipynb docs/notebooks/$$notebook.py; done
	@echo "the site is in build/site/index.html; browsers let it search when it is served:"
	@echo "$(BIN)/python -m http.server --directory build/site"

$(DOCS_INSTALLED): Makefile | $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check 'mkdocs-material>=9.7' 'mkdocstrings[python]>=1' 'mkdocs-jupyter==0.26.3'
	touch $@

# tensorflow-cpu takes the place of requirements.txt's tensorflow: the two wheels hold the same files.
$(INSTALLED): requirements.txt setup.py Makefile
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	grep -v '^tensorflow>' requirements.txt > $(VENV)/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check 'tensorflow-cpu>=2.21' -r $(VENV)/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check 'pytest>=9' 'hypothesis>=6.150' 'pytest-xdist>=3.8' 'ruff>=0.15' 'tensorboard>=2.20' \
		'build>=1.3' 'mypy>=2' 'setuptools>=77' 'simplejpeg>=1.9' 'wheel>=0.45' 'optuna>=5' 'jinja2>=3.1'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# KServe needs other versions of packages than the experiments do; tritonclient asks it in the tests
$(SERVING_INSTALLED): Makefile
	test -d $(SERVING_VENV) || $(PYTHON) -m venv $(SERVING_VENV)
	$(SERVING_VENV)/bin/pip install --quiet --disable-pip-version-check 'kserve>=0.21' 'tensorflow-cpu>=2.21' \
		'tritonclient[http,grpc]>=2.60'
	$(SERVING_VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

clean:
	rm -rf $(VENV) $(SERVING_VENV) build *.egg-info .pytest_cache .ruff_cache

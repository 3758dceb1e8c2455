# One command per task; each sets up .venv first, and a second call starts at once.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PYTEST := $(VENV)/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal
READY := $(VENV)/.ready
TRITON := $(VENV)/.triton

.PHONY: demo test fast lint format fixtures cost clean

demo: $(READY)
	$(VENV)/bin/adderforge demo $(ARGS)

test: $(READY) $(TRITON)
	$(PYTEST) $(ARGS)

# Tests that need no long simulation, synthesis or training.
fast: $(READY)
	$(PYTEST) -m "not slow" $(ARGS)

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-logo

format: $(READY)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# The trained and quantized models in fixtures/, made anew; see fixtures/README.md.
fixtures: $(READY)
	rm -rf build/float
	for kind in adder cnn; do \
	  $(VENV)/bin/adderforge train --kind $$kind --data digits --seed 0 --out build/float && \
	  $(VENV)/bin/adderforge quantize build/float/$$kind.pt --vectors 16 --out build/integer && \
	  cp build/integer/*.npz fixtures || exit 1; \
	done

# The table of what presets cost, compared with the committed one; ARGS=--write makes it anew.
cost: $(READY)
	$(VENV)/bin/python benchmarks/hardware_cost.py $(ARGS)

clean:
	rm -rf $(VENV) build *.egg-info

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable ".[dev]"
	touch $@

# What the tests of the kernels for GPUs need; where it cannot be had, they are skipped.
$(TRITON): $(READY)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --retries 1 \
	  --constraint constraints.txt --editable ".[gpu]" || echo "without Triton"
	touch $@

# `make run` shows the main job, `make test` runs the tests; each installs what it needs.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check install --quiet

.PHONY: run test lint format clean

run: .venv/run.stamp
	@for example in examples/*.txt; do \
		echo "== jaxformer synthesize $$example"; \
		$(BIN)/jaxformer synthesize $$example || exit; echo; \
	done

# The sandbox's tests look at the machine's processes and times: they run alone.
test: .venv/test.stamp
	@$(BIN)/pytest --ignore=tests/sandbox --numprocesses=2 --dist=worksteal
	@$(BIN)/pytest tests/sandbox

lint: .venv/test.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/pyright

format: .venv/test.stamp
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf .venv

NATIVE := setup.py $(wildcard src/jaxformer/model/native/csrc/*)

.venv/run.stamp: .venv/bin/pip pyproject.toml $(NATIVE)
	@$(PIP) -e .
	@touch $@

.venv/test.stamp: .venv/bin/pip pyproject.toml $(NATIVE)
	@$(PIP) -e '.[data,ray,report,track,dev,peers]'
	@touch $@ .venv/run.stamp

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Jaxformer needs Python 3.11 or newer; set PYTHON=…")'
	@$(PYTHON) -m venv .venv

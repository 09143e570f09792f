# The reader's commands. `make` alone lists them.
PROFILE ?= default
DATA ?= simulated
REAL_SAMPLE ?=
VOTES ?=
REPOSITORY ?=
AGAINST ?=
# Taken as typed ($$ and all) and handed to the recipes' shell as variables: no character of a path means anything there.
override DATA := $(value DATA)
override REAL_SAMPLE := $(value REAL_SAMPLE)
override VOTES := $(value VOTES)
override AGAINST := $(value AGAINST)
export PROFILE DATA REAL_SAMPLE VOTES REPOSITORY AGAINST
# Packages of another Python do not mix with those of the lock.
unexport PYTHONPATH PYTHONHOME
# The first Python that is new enough and can make environments; else the one that says why it cannot.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	if "$$name" -c "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; \
	then echo "$$name"; exit; fi; done; command -v python3)
VENV := .venv
BOOK := $(VENV)/bin/python -m ci.book --profile="$$PROFILE" --data="$$DATA" --real-sample="$$REAL_SAMPLE" \
	--votes="$$VOTES" --repository="$$REPOSITORY" --against="$$AGAINST"

.DEFAULT_GOAL := help
.PHONY: help book pdf why verify diff jupyter test test-fast lint sync clean setup

help: ## list these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 18

setup: $(VENV)/ready ## create .venv from requirements.lock; the other commands do it by themselves

# Another choice of torch's builds than the last one is a reason to install again.
ifneq ($(UV_TORCH_BACKEND),)
ifneq ($(UV_TORCH_BACKEND),$(shell cat $(VENV)/torch-backend 2>/dev/null))
.PHONY: $(VENV)/ready
endif
endif

$(VENV)/ready: requirements.lock pyproject.toml ci/setup.py
	@test -n "$(PYTHON)" || { echo "No Python found: install Python 3.11 or later."; exit 1; }
	@"$(PYTHON)" ci/setup.py $(VENV)
	@touch $@

_build/pairs: $(VENV)/ready $(wildcard book/[0-9][0-9]_*)
	@$(VENV)/bin/python -m ci.pairs book
	@mkdir -p _build && touch $@

book: setup _build/pairs ## execute what changed and build the pages [PROFILE=default|smoke|paper] [DATA=file] [REAL_SAMPLE=file] [VOTES=folder]
	@$(BOOK)

pdf: book ## print all pages into _build/results/<run>/book.pdf with Chromium [PROFILE=..., DATA=file]
	@$(VENV)/bin/python -m ci.pdf _build/html

why: setup ## say what `make book` would run, and why
	@$(BOOK) --why

verify: setup ## compute the run again elsewhere and compare every number [PROFILE=..., DATA=file, AGAINST=folder]
	@$(VENV)/bin/python -m ci.verify --profile="$$PROFILE" --data="$$DATA" $${AGAINST:+--against="$$AGAINST"}

diff: setup ## print what changed since another run, numbers and figures [AGAINST=folder, PROFILE=..., DATA=file]
	@$(VENV)/bin/python -m ci.diff --profile="$$PROFILE" --data="$$DATA" --against="$$AGAINST"

jupyter: setup ## open the chapters in JupyterLab, with kernels that start in the repository's root
	@IPYTHONDIR="$$PWD/_build/ipython" sh postBuild
	@root=$$(test "$$(id -u)" != 0 || echo --allow-root); \
	IPYTHONDIR="$$PWD/_build/ipython" $(VENV)/bin/python -m jupyterlab $$root book

test: setup ## run the tests, in a process for each core, of four at most
	@$(VENV)/bin/python -m pytest -n auto

test-fast: setup ## run those that take no seconds and need neither the built book nor a browser
	@$(VENV)/bin/python -m pytest -n auto -m "not slow"

lint: setup ## check style
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

sync: setup ## bring the two halves of each chapter (.py and .ipynb) together, the newer one wins; list the modules
	@$(VENV)/bin/jupytext --sync book/[0-9][0-9]_*.py
	@$(VENV)/bin/python -m ci.layout

clean: ## remove everything that was built; .venv stays
	@rm -rf _build .snakemake .pytest_cache .ruff_cache

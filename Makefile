# Everything is set up outside the tree, once: in $MLGATE_CACHE, else ~/.cache/mlgate.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help example test test-long lint bench lock tools

CACHE := $(or $(MLGATE_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/mlgate)
DEV := $(CACHE)/dev-$(shell cat requirements/dev.txt requirements/uv.txt 2>/dev/null | sha256sum | cut -c 1-16)
PYTHON := $(DEV)/bin/python
WORKERS ?= auto
COMPILE = $(DEV)/uv/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --upgrade

help: ## Show what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

example: ## Play the whole story on real data: champion, challengers, tampering (needs Python, git and make)
	@scripts/example/run.sh

test: tools ## Run the tests, with the real runners of both forges
	$(PYTHON) -m pytest -n $(WORKERS) --dist worksteal -m "not long"

test-long: tools ## Run the tests that take minutes, too
	$(PYTHON) -m pytest -n $(WORKERS) --dist worksteal

lint: $(DEV)/.ready ## Check style, types, YAML and shell
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy

bench: $(DEV)/.ready ## Measure against the peers, side by side
	$(PYTHON) benchmarks/run.py

tools: $(DEV)/.ready # act, gitlab-ci-local and the parsers of both forges
	@$(PYTHON) -m tests.tools

lock: $(DEV)/.ready ## Compile requirements/*.txt again: exact versions, hashes, no addresses
	$(COMPILE) --output-file requirements/base.txt
	for extra in classifier data gx notify track track-local scan serve sign sign-model sql storage; do $(COMPILE) --extra $$extra --constraint requirements/base.txt --output-file requirements/$$extra.txt; done
	$(COMPILE) --extra gx --extra notify --extra sql --extra storage --extra track-local --extra scan --extra serve --extra sign-model --group test --group lint --constraint requirements/base.txt --output-file requirements/dev.txt

$(DEV)/.ready:
	@echo "Setting up the development environment in $(DEV)"
	@rm -rf "$(DEV)" && mkdir -p "$(DEV)"
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed")'
	@python3 -m venv "$(DEV)/uv"
	@"$(DEV)/uv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement requirements/uv.txt
	@"$(DEV)/uv/bin/uv" venv --quiet --allow-existing --python python3 "$(DEV)"
	@"$(DEV)/uv/bin/uv" pip install --quiet --compile-bytecode --python "$(PYTHON)" --require-hashes --requirement requirements/dev.txt
	@touch "$@"

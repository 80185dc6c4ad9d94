PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
UI := scripts/headwater/report/ui

.PHONY: demo install test test-long test-cluster test-browser lint report-bundle report-bundle-check shell figures docs bench lock clean

demo: .venv/run.done  ## install, then the laptop experiment to its figure and summary
	$(BIN)/snakemake --cores all

install: .venv/run.done  ## install only, into .venv

test: .venv/dev.done lint  ## install, then all checks and tests
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder -m "not long and not cluster and not browser" --durations 15

test-long: .venv/dev.done  ## more whole experiments, trainings of several processes
	$(BIN)/pytest -n auto --dist loadfile --durations 15 -m long

test-cluster: .venv/dev.done  ## faults and whole runs on a SLURM, which it starts here
	$(BIN)/pytest -v -m cluster --durations 0 tests/cluster

test-browser: .venv/dev.done  ## the report's page in Chromium, which it installs as root on Debian
	tests/browser/chromium.sh
	$(BIN)/pytest -v -m browser --durations 5 tests/browser

lint: .venv/dev.done
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check workflow rules
	$(BIN)/mypy
	$(BIN)/snakemake --lint
	PYTHONPATH=scripts $(BIN)/lint-imports --no-cache > .venv/imports.log || { cat .venv/imports.log; exit 1; }

report-bundle: $(UI)/node_modules/.done  ## the report page's script and style, from their sources (needs node)
	cd $(UI) && npm run --silent build

report-bundle-check: $(UI)/node_modules/.done  ## lint and test them; is what is committed what they give?
	cd $(UI) && npm run --silent check

$(UI)/node_modules/.done: $(UI)/package-lock.json
	cd $(UI) && npm ci --silent
	touch $@

shell: .venv/run.done  ## a job's script in a Python shell: FILE=results/... [CONFIG=config/mine.yaml]
	@$(BIN)/python scripts/shell.py $(FILE) --configfile $(or $(CONFIG),config/config.yaml)

figures: .venv/run.done  ## figures for papers, of a run that is done: [CONFIG=config/mine.yaml]
	$(BIN)/snakemake --cores all figures --configfile $(or $(CONFIG),config/config.yaml)

docs: .venv/dev.done  ## the site of the docs, without a network: open site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file docs/site/mkdocs.yml

bench: .venv/run.done  ## speed of the core beside a plain training step
	$(BIN)/python benchmarks/run.py

.venv/run.done: requirements.lock
	$(PYTHON) -m venv .venv
	$(PIP) torch==2.13.0
	$(PIP) --require-hashes -r requirements.lock
	touch $@

.venv/dev.done: .venv/run.done requirements-dev.lock
	$(PIP) --require-hashes -r requirements-dev.lock
	touch $@

lock: .venv/dev.done  ## pin the newest versions that pyproject.toml allows
	$(PIP) pip-tools
	$(BIN)/pip-compile -q -U --generate-hashes --unsafe-package torch --strip-extras --no-header --no-annotate --no-emit-find-links --no-emit-index-url -o requirements.lock pyproject.toml
	$(BIN)/pip-compile -q -U --generate-hashes --unsafe-package torch --strip-extras --no-header --no-annotate --no-emit-find-links --no-emit-index-url --extra dev -o requirements-dev.lock pyproject.toml

clean:  ## remove the environment; results stay
	rm -rf .venv

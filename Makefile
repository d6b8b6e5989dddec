# Four commands do everything: `make study`, `make test`, `make check` and `make docs`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STUDY ?= quickstart
OUTPUTS ?= outputs

.PHONY: study test test-long check types docs house environment clean

study: environment  ## plan, train, fit and report the quickstart study (resumes, repeats nothing)
	$(BIN)/scaling launch study=$(STUDY) outputs=$(OUTPUTS)
	$(BIN)/scaling report study=$(STUDY) outputs=$(OUTPUTS) to=report.html

# Each of two processes takes neighbouring tests, which share what their files set up, and the last
# ones from the other's end; more threads than cores would only wait for each other.
test: environment  ## the default tests, on two cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

test-long: environment  ## what goes the whole way of a user: examples, notebooks, pages, killed processes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "long and not slow" --numprocesses 2 --dist worksteal

check: $(VENV)/.checkers  ## lint, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(MAKE) --no-print-directory types

types: $(VENV)/.checkers house
	$(BIN)/python -m mypy

docs: $(VENV)/.docs house  ## the documentation as a site, in build/site; links and formulas are checked
	NO_MKDOCS_2_WARNING=1 OMP_NUM_THREADS=1 $(BIN)/python -m mkdocs build --strict --clean

# Packages stand at the top of the repository: readers of code see them through links below their one name.
house:
	rm -rf build/house && mkdir -p build/house/scalinglab
	ln -s $(CURDIR)/scalinglab/* $(addprefix $(CURDIR)/,analysis conf scaling sweeps) build/house/scalinglab

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --editable '.[all,test,docs]'
	touch $@

$(VENV)/.checkers: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --editable '.[all,test,check]'
	touch $@

environment: $(VENV)/.installed

# constraints.txt pins every version; the README says how to choose a build of torch.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "Python 3.11 to 3.13 is needed; say make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --editable '.[all,test]'
	touch $@

clean:  ## remove the environment; outputs stay
	rm -rf $(VENV)

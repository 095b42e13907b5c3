# Every target makes its own virtual environment from requirements.lock: Python 3.11 or newer, make and nothing else.
PYTHON ?= python3
BIN := .venv/bin
# A folder with a space in its name, as it is to be typed.
QUOTED = $(if $(findstring $() ,$(DIR)),'$(DIR)',$(DIR))
STAMP := .venv/.made-from-lock
DEMO := .demo
JOURNEYS = $(BIN)/journeys

.PHONY: help init demo test lint docs bench chaos clean

help:
	@echo "make init    DIR=../shop: a project of your own, with one runnable journey"
	@echo "make demo    a year of a grocery chain through three journeys, in virtual time"
	@echo "make test    lint, types, layering and every test, on SQLite and PostgreSQL"
	@echo "make lint    the same without the tests"
	@echo "make docs    write docs/reference.md and docs/rules.md anew, from the schemas and the rules"
	@echo "make bench   how fast it is, each part beside its floor in the same run"
	@echo "make chaos   kills, stopped processes, broken connections: what becomes of every message; CHAOS=\"kills --kills 1000\""
	@echo "make clean   remove what these made"

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "journeys needs Python 3.11 or newer; say which: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Installing into .venv: this takes about a minute."
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

# A project of one's own. The commands are printed as they are to be typed: from here, with nothing activated.
init: $(STAMP)
	@test -n "$(DIR)" || { echo "Say where: make init DIR=../shop" >&2; exit 1; }
	@$(JOURNEYS) init "$(DIR)" >/dev/null
	@echo "A project with one journey, \`welcome\`, is in $(DIR). Put it into force, let three people sign up, see what happens:"
	@echo
	@echo "  $(JOURNEYS) apply --project $(QUOTED)"
	@echo "  $(JOURNEYS) events import --live $(QUOTED)/people.ndjson --project $(QUOTED)"
	@echo "  $(JOURNEYS) run --once --project $(QUOTED)"
	@echo
	@echo "The messages are then in $(DIR)/outbox. README.md says how to go on."

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest -n 3

docs: $(STAMP)
	$(BIN)/python -m runner.review.reference > docs/reference.md.new && mv docs/reference.md.new docs/reference.md
	$(BIN)/python -m runner.review.rules_page > docs/rules.md.new && mv docs/rules.md.new docs/rules.md

bench: $(STAMP)
	$(BIN)/python -m benchmarks

chaos: $(STAMP)
	$(BIN)/python -m tests.chaos $(CHAOS)

# The demo works on a copy of the grocer's journeys in a folder of its own, so that it never touches the database of the project.
demo: $(STAMP)
	@rm -rf $(DEMO) && mkdir $(DEMO) && cp -R examples/complete-journey/journeys $(DEMO)/journeys
	@echo "A year (2017) of 207 households of a grocery chain, simulated; see examples/complete-journey/README.md."
	@echo
	$(JOURNEYS) check --project $(DEMO)
	$(JOURNEYS) apply --project $(DEMO)
	@echo
	@echo "The data holds no consent, so everybody is granted the topic offers here; a shop would import real consents."
	$(JOURNEYS) contacts import examples/complete-journey/identify.ndjson.gz --grant offers \
		--source "granted to everybody by make demo: the data holds no consent" --project $(DEMO)
	$(JOURNEYS) events import examples/complete-journey/track.ndjson.gz --live --project $(DEMO)
	$(JOURNEYS) run --virtual 2016-11-14T00:00:00Z..2018-01-01T05:00:00Z --project $(DEMO)
	@echo
	$(JOURNEYS) status --project $(DEMO)
	@echo
	@echo "$$(find $(DEMO)/outbox -name "*.eml" | wc -l) messages lie in $(DEMO)/outbox; open one with any mail program."
	@echo "One household's story:  $(JOURNEYS) contacts show hh-86 --project $(DEMO)"

clean:
	rm -rf .venv $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info

# make demo   from logged transitions to a walking robot, and back to a log
# make test   all tests
# make soak   the fault matrix with the counts of a night
# make check  format, lint, types, import direction
# Each sets up its own virtual environment first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SOURCES := rwmu_deploy rwmu_train ros2_ws/src tests benchmarks
export PYTHONPATH := $(CURDIR)/ros2_ws/src/rwmu_deploy:$(CURDIR)/ros2_ws/src/rwmu_unitree

.PHONY: setup demo test soak check format clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt $(wildcard ros2_ws/src/unitree_*/msg/*.msg)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt -e '.[train,sim,ros,messages,dev]'
	ros2_ws/build_messages.sh $(VENV) $(VENV)
	touch $@

demo: $(READY)
	$(BIN)/python -m rwmu_train.demo

test: $(READY)
	$(BIN)/python -m pytest

soak: $(READY)
	$(BIN)/python -m pytest --soak tests/deploy tests/ros tests/train/test_closed_loop.py

check: $(READY)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/pyright
	$(BIN)/python -m pytest tests/test_import_direction.py

format: $(READY)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

clean:
	rm -rf $(VENV) ros2_ws/build ros2_ws/install ros2_ws/log

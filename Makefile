# The targets only wrap what a person could type; see README.md for plain pip.
# Bytecode is kept: without it, every process compiles and every test rewrites anew.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SYSTEM = xvfb libegl1 libgl1 libgl1-mesa-dri libxkbcommon-x11-0 libxcb-cursor0 \
         libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 \
         libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libdbus-1-3 \
         libfontconfig1 fonts-dejavu-core g++
TESTING = orthanc orthanc-dicomweb dicom3tools xdotool openbox
SITE ?= site
# Both cores; MARKS="and not data" where no real radiographs are; pytest-xvfb gives each process a display of its own.
TEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -p no:benchmark

.PHONY: demo test slow docs system testing clean

demo: system $(VENV)/.installed
	$(BIN)/wsseg demo $(DEMO)

test: testing $(VENV)/.tested
	$(TEST) -m "not slow and not gui $(MARKS)" $(PYTEST)
	$(TEST) -m "gui and not slow $(MARKS)" $(PYTEST)

slow: testing $(VENV)/.tested .node/node_modules/dcmjs
	$(BIN)/python -m pytest -m slow $(PYTEST)

# A reader of browsers, which slow tests compare with.
.node/node_modules/dcmjs:
	npm install --silent --no-audit --no-fund --prefix .node dcmjs

# Every warning is an error: no dead link, no page left out.
docs: $(VENV)/.tested
	$(BIN)/python -m mkdocs build --strict -d $(abspath $(SITE))

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "1 of 3: a Python environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@echo "2 of 3: torch, napari and Qt: some gigabytes are downloaded, once; minutes on a"
	@echo "        quick line, half an hour on a slow one. pip says below what is coming."
	@$(BIN)/python -m pip install -c constraints.txt -e ".[qt]"
	@echo "3 of 3: done; the window opens in seconds"
	touch $@

$(VENV)/.tested: $(VENV)/.installed | system
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[all,docs,test]"
	touch $@

# Debian and Ubuntu; elsewhere these come with the desktop.
system:
	@$(call packages,$(SYSTEM))

# A real archive, which the tests start and end on loopback, a validator of its files,
# and real key presses.
testing: system
	@$(call packages,$(TESTING))

packages = if command -v apt-get >/dev/null && ! dpkg -s $(1) >/dev/null 2>&1; then \
	  SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$SUDO apt-get update -qq && \
	  $$SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(1) >/dev/null; \
	fi

clean:
	rm -rf $(VENV)

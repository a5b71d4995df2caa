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
INSTALL = $(BIN)/python -m pip install $(PIPFLAGS) -c constraints.txt
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

$(BIN)/python:
	@echo "A Python environment is made in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "torch, napari and Qt: some gigabytes are downloaded, once; minutes on a quick line,"
	@echo "half an hour on a slow one. pip says below what is coming."
	@$(INSTALL) -e ".[qt]"
	@echo "Done; the window opens in seconds"
	touch $@

# All at once, instead of a second search for what fits.
$(VENV)/.tested: pyproject.toml constraints.txt | system $(BIN)/python
	$(INSTALL) --quiet -e ".[all,docs,test]"
	touch $(VENV)/.installed $@

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

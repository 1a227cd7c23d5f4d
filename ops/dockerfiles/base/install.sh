#!/bin/sh
# install.sh LOCK VENV: create a virtual environment with the packages of LOCK, each checked
# against its hash. The machine's CA bundle and pip configuration are BuildKit secrets: files in
# memory that never reach a layer.
set -eu
lock=$1
venv=$2
export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
[ ! -s /run/secrets/ca ] || export PIP_CERT=/run/secrets/ca
[ ! -s /run/secrets/pip ] || export PIP_CONFIG_FILE=/run/secrets/pip
set -x
python3.11 -m venv /tmp/tools
python3.11 -m venv --without-pip "$venv"
# Wheels only: no stage has a compiler. --no-compile: closure.py compiles without dates.
/tmp/tools/bin/pip --python "$venv/bin/python" install \
    --require-hashes --only-binary :all: --no-deps --no-compile --progress-bar off -r "$lock"
# The services run as `python -m`, so they need no scripts.
find "$venv/bin" -mindepth 1 ! -name 'python*' -delete

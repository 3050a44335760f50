#!/usr/bin/env bash
# Fetch published weights into models/trained/: ./download_models.sh --help
# The work is done in Python, utils/weights/download.py, so that Windows has it too.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$(command -v python || command -v python3) || {
    echo "download_models.sh: error: no python is on the PATH; 3.11 or newer is needed" >&2
    exit 1
}
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m utils.weights.download "$@"

#!/usr/bin/env bash
# Both disparity networks and their refinement, from ImageNet weights to the files that ship, in one
# piece:  models/bundled/train_depth.sh DATA
#
# train_bundled.sh, train_estimation.sh and train_refinement.sh one after the other, which say what
# DATA holds and what can be set in the environment. Needs nobody beside it; begun again it goes on
# where it was stopped. The results are models/trained/disparity-packed.safetensors and
# models/trained/refine-packed.safetensors. A day on two cores; PERCENT=2 tries it all in about an
# hour.
set -euo pipefail
data=$(cd "${1:?give the folder of the training data}" && pwd)
cd "$(dirname "$0")/../.."

first=models/trained/disparity-compact.safetensors
packed=models/trained/disparity-packed.safetensors
[ -f $first ] || models/bundled/train_bundled.sh "$data"
[ -f $packed ] || FIRST=$first PACKED=$packed models/bundled/train_estimation.sh "$data"
ESTIMATION=$packed PACKED=models/trained/refine-packed.safetensors \
    models/bundled/train_refinement.sh "$data"

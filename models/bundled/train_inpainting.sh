#!/usr/bin/env bash
# Train a compact inpainting network, with train.py:  models/bundled/train_inpainting.sh DATA
#
# DATA holds nyu-train/ and photos/ as for train_bundled.sh. It resumes where it was stopped; STEPS
# in the environment changes the length. None ships yet: MODEL_CARD.md says how it compares with the
# rule. To look at it: kbe.py --inpaint-path models/trained/inpaint-bundled.tar
set -euo pipefail
data=$(cd "${1:?give the folder with nyu-train/ and photos/}" && pwd)
cd "$(dirname "$0")/../.."

source models/bundled/data_sets.sh

scenes=data/synthetic-views
python -m utils.synthetic --out $scenes \
    --size 256x192 --views 3 --count 1600 --seed 50 --photos "$data/photos/images"

sets=$(mktemp)
trap 'rm -f "$sets"' EXIT
data_sets 0.4 "$data/photos" 1.0 $scenes 0.5 > "$sets"

resume=()
[ -f models/trained/inpaint-bundled.tar ] && resume=(--resume)
python train.py --training-mode inpainting --network compact --save-name bundled \
    --dataset-file "$sets" --dataset nyu,photos,scenes --crop 256x192 --batch-size 4 \
    --steps "${STEPS:-1200}" --lr-inpaint 1e-3 --schedule cosine --warmup 100 --ema 0.995 \
    --amp bf16 --seed 0 --val-images 24 "${resume[@]}"

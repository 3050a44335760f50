#!/usr/bin/env bash
# Train a compact inpainting network, with train.py:  models/bundled/train_inpainting.sh DATA
#
# DATA holds nyu-train/ and photos/ as for train_bundled.sh. It resumes where it was stopped; STEPS
# in the environment changes the length. None ships yet: MODEL_CARD.md says how it compares with the
# rule. To look at it: kbe.py --inpaint-path models/trained/inpaint-bundled.tar
set -euo pipefail
data=$(cd "${1:?give the folder with nyu-train/ and photos/}" && pwd)
cd "$(dirname "$0")/../.."

sets=$(mktemp)
trap 'rm -f "$sets"' EXIT
cat > "$sets" <<JSON
[{"name": "nyu", "path": "$data/nyu-train", "param": {"baseline": 0.1, "focal": 355},
  "depth_unit": 0.001, "weight": 0.4},
 {"name": "photos", "path": "$data/photos", "param": {"baseline": 1, "focal": 192},
  "disparity": "relative", "weight": 1.0},
 {"name": "scenes", "path": "data/synthetic-views", "param": {"baseline": 0.1, "focal": 192},
  "weight": 0.5}]
JSON

[ -d data/synthetic-views ] || python -m utils.synthetic --out data/synthetic-views \
    --size 256x192 --views 3 --count 1600 --seed 50 --photos "$data/photos/images"

resume=()
[ -f models/trained/inpaint-bundled.tar ] && resume=(--resume)
python train.py --training-mode inpainting --network compact --save-name bundled \
    --dataset-file "$sets" --dataset nyu,photos,scenes --crop 256x192 --batch-size 4 \
    --steps "${STEPS:-1200}" --lr-inpaint 1e-3 --schedule cosine --warmup 100 --ema 0.995 \
    --amp bf16 --seed 0 --val-images 24 "${resume[@]}"

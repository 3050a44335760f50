#!/usr/bin/env bash
# Train the refinement network that ships, with train.py:  models/bundled/train_refinement.sh DATA
#
# DATA holds nyu-train/ and photos/ as for train_bundled.sh. The network learns on the guesses of
# the disparity network that ships. It resumes where it was stopped. In the environment: STEPS, or
# PERCENT of steps and scenes; AMP, no on a CPU without bfloat16; ESTIMATION, the network whose
# guesses it learns on; PACKED, the file to write.
set -euo pipefail
data=$(cd "${1:?give the folder with nyu-train/ and photos/}" && pwd)
cd "$(dirname "$0")/../.."
source models/bundled/data_sets.sh

scenes=data/synthetic-512x384
python -m utils.synthetic --out $scenes \
    --size 512x384 --views 1 --count "$(part_of 1500)" --seed 7000 --photos "$data/photos/images"

sets=$(mktemp)
trap 'rm -f "$sets"' EXIT
data_sets 0.3 none 0 $scenes 1.0 > "$sets"

resume=()
[ -f models/trained/refine-bundled.tar ] && resume=(--resume)
python train.py --training-mode refinement --network compact --save-name bundled \
    --model-path "${ESTIMATION:-models/bundled/disparity-estimation.safetensors}" \
    --dataset-file "$sets" --dataset nyu,scenes --crop 512x384 --crop-scale 0.7 --batch-size 4 \
    --steps "${STEPS:-$(part_of 6000)}" --lr-refinement 1e-3 --weight-decay 0.01 --schedule cosine \
    --warmup 100 --ema 0.99 --amp "${AMP:-bf16}" --seed 0 --val-images 32 "${resume[@]}"

python -m models.bundled.pack_weights "${PACKED:-models/bundled/disparity-refinement.safetensors}" \
    models/trained/refine-bundled.tar

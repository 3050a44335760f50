#!/usr/bin/env bash
# Train the disparity network that ships, with train.py:  models/bundled/train_bundled.sh DATA
#
# DATA holds nyu-train/{images,depth} (NYU Depth v2, official training split, 16-bit PNG in mm),
# photos/{images,disparity,confidence} (photographs with relative pseudo-disparity) and
# mobilenetv2_imagenet.safetensors (the encoder's ImageNet weights); MODEL_CARD.md says where each
# comes from. A few hours on two cores; resumes where it was stopped. In the environment: FROM, the
# weights to start from; STEPS; PROCESSES, which share each batch of 8 (two with a thread each are
# faster on two busy cores than one with two).
set -euo pipefail
data=$(cd "${1:?give the folder with nyu-train/, photos/ and mobilenetv2_imagenet.safetensors}" && pwd)
cd "$(dirname "$0")/../.."

sets=$(mktemp)
trap 'rm -f "$sets"' EXIT
cat > "$sets" <<JSON
[{"name": "nyu", "path": "$data/nyu-train", "param": {"baseline": 0.1, "focal": 355},
  "depth_unit": 0.001, "weight": 1.0},
 {"name": "photos", "path": "$data/photos", "param": {"baseline": 1, "focal": 192},
  "disparity": "relative", "weight": 0.42},
 {"name": "scenes", "path": "data/synthetic-320x240", "param": {"baseline": 0.1, "focal": 192},
  "weight": 0.2}]
JSON

[ -d data/synthetic-320x240 ] || python -m utils.synthetic --out data/synthetic-320x240 \
    --size 320x240 --views 1 --count 4000 --seed 1000

resume=()
[ -f models/trained/disparity-bundled.tar ] && resume=(--resume)
processes=${PROCESSES:-1}
torchrun --nproc-per-node "$processes" train.py \
    --training-mode estimation --network compact --save-name bundled \
    --model-path "${FROM:-$data/mobilenetv2_imagenet.safetensors}" \
    --dataset-file "$sets" --dataset nyu,photos,scenes \
    --crop 256x192 --other-crops 192x256,224x224,288x208 --batch-size $((8 / processes)) \
    --steps "${STEPS:-10000}" --lr-estimation 6e-4 --lr-encoder 1.5e-4 \
    --freeze-encoder 4 --weight-decay 0.02 --log-weight 1 --schedule cosine --warmup 200 --ema 0.998 --amp bf16 --seed 0 \
    --threads "$(($(nproc) / processes))" --cache-mib $((4096 / processes)) "${resume[@]}"

python -m models.bundled.pack_weights models/bundled/disparity-estimation.safetensors \
    models/trained/disparity-bundled.tar

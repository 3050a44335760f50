#!/usr/bin/env bash
# Train the first disparity network, with train.py:  models/bundled/train_bundled.sh DATA
#
# DATA holds nyu-train/{images,depth} (NYU Depth v2, official training split, 16-bit PNG in mm),
# photos/{images,disparity,confidence} (photographs with relative pseudo-disparity) and
# mobilenetv2_imagenet.safetensors (the encoder's ImageNet weights); MODEL_CARD.md says where each
# comes from. The network is trained, helps to label the photographs anew, is trained further on
# those labels, helps once more, and ends on larger windows at the size of use; the mean of the last
# two parts is packed, for train_estimation.sh to join with the second network. Some hours
# on two cores; resumes where it was stopped. In the environment: FROM, the weights to start from;
# STEPS, MORE_STEPS and LAST_STEPS of the three parts, or PERCENT of all steps and scenes; PROCESSES,
# which share each batch of 8 (two of a thread each are faster on two busy cores than one of two);
# AMP, no on a CPU without bfloat16.
set -euo pipefail
data=$(cd "${1:?give the folder with nyu-train/, photos/ and mobilenetv2_imagenet.safetensors}" && pwd)
cd "$(dirname "$0")/../.."
source models/bundled/data_sets.sh

processes=${PROCESSES:-1}
sets=$(mktemp)
trap 'rm -f "$sets"' EXIT

# part NAME FROM STEPS LR LR_ENCODER SEED CROP OTHER_CROPS SCALE: one training on the list in $sets
part() {
    local resume=()
    [ -f "models/trained/disparity-$1.tar" ] && resume=(--resume)
    torchrun --nproc-per-node "$processes" train.py \
        --training-mode estimation --network compact --save-name "$1" --model-path "$2" \
        --dataset-file "$sets" --dataset nyu,photos,scenes \
        --crop "$7" --other-crops "$8" --crop-scale "$9" --batch-size $((8 / processes)) \
        --steps "$3" --lr-estimation "$4" --lr-encoder "$5" --freeze-encoder 4 \
        --weight-decay 0.02 --weight log=1 --schedule cosine --warmup 200 --ema 0.998 \
        --amp "${AMP:-bf16}" --seed "$6" --threads "$(($(nproc) / processes))" \
        --cache-mib $((4096 / processes)) "${resume[@]}"
}

# relabel FOLDER WEIGHTS: photographs with better labels, if they are not there already
relabel() {
    [ -d "$1" ] || python -m models.bundled.relabel_photos "$data/photos" "$1" "$2" 0.5
}

small=(256x192 192x256,224x224,288x208 0.5)
scenes=data/synthetic-320x240
python -m utils.synthetic --out $scenes \
    --size 320x240 --views 1 --count "$(part_of 4000)" --seed 1000

data_sets 1.0 "$data/photos" 0.42 $scenes 0.2 > "$sets"
part first "${FROM:-$data/mobilenetv2_imagenet.safetensors}" "${STEPS:-$(part_of 10000)}" \
    6e-4 1.5e-4 0 "${small[@]}"

relabel data/photos-relabelled models/trained/disparity-first.tar
data_sets 1.0 data/photos-relabelled 0.8 $scenes 0.24 > "$sets"
part second models/trained/disparity-first.tar "${MORE_STEPS:-$(part_of 7000)}" \
    4e-4 1e-4 5 "${small[@]}"

relabel data/photos-relabelled-again models/trained/disparity-second.tar
data_sets 1.0 data/photos-relabelled-again 0.8 $scenes 0.24 > "$sets"
part last models/trained/disparity-second.tar "${LAST_STEPS:-$(part_of 2600)}" 2e-4 5e-5 11 \
    320x240 240x320,288x288,352x256 0.7

python -m models.bundled.pack_weights models/trained/disparity-compact.safetensors \
    models/trained/disparity-second.tar models/trained/disparity-last.tar

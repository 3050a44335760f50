#!/usr/bin/env bash
# Train the second disparity network, with train.py:  models/bundled/train_estimation.sh DATA
#
# DATA holds what train_bundled.sh needs, with efficientnet_lite2_imagenet.safetensors as the
# encoder's weights. The network begins with the grid of the first one and is trained on small
# windows, then on larger ones; the pair of both networks labels the photographs anew, and the
# third part learns from those, at the size of use. The last part begins with the mean of those
# two and learns the order of things: nothing is taken for an outlier, and pairs of points count.
# Then windows of other photos are pasted in, and the mean of before and after is joined with the
# first network into the pair that ships. Some hours on two cores; resumes where it was stopped. In
# the environment: FIRST, weights of the first network; STEPS, MORE_STEPS, LAST_STEPS, ORDER_STEPS
# and MIX_STEPS of the five parts, or PERCENT of all steps and scenes; PROCESSES, which share each
# batch of 8 (two of a thread each are faster than one of two); AMP, no on a CPU without bfloat16;
# PACKED, the file to write. To look at it: kbe.py --estim-path FILE
set -euo pipefail
data=$(cd "${1:?give the folder with strong/, nyu-train/ and photos/}" && pwd)
cd "$(dirname "$0")/../.."
source models/bundled/data_sets.sh

processes=${PROCESSES:-2}
first=${FIRST:-models/bundled/disparity-estimation.safetensors}
scenes=data/synthetic-384x288
sets=$(mktemp)
trap 'rm -f "$sets"' EXIT

# part NAME FROM STEPS LR LR_ENCODER SEED CROP OTHER_CROPS SCALE [FLAG...]: one training on those
part() {
    local resume=() flags=("${@:10}")
    [ -f "models/trained/disparity-$1.tar" ] && resume=(--resume)
    torchrun --nproc-per-node "$processes" train.py \
        --training-mode estimation --network efficient --save-name "$1" --model-path "$2" \
        --dataset-file "$sets" --dataset "$strong_training" \
        --val-dataset "$strong_validation" --val-images 180 \
        --crop "$7" --other-crops "$8" --crop-scale "$9" --batch-size $((8 / processes)) \
        --spoil --fine-labels --steps "$3" --lr-estimation "$4" --lr-encoder "$5" \
        --freeze-encoder 5 --freeze-depthwise --weight-decay 0.02 --weight log=0.5 \
        --schedule cosine --warmup 60 --ema 0.995 --amp "${AMP:-bf16}" --seed "$6" \
        --threads "$(($(nproc) / processes))" --save-every 200 \
        --cache-mib $((4096 / processes)) "${resume[@]}" "${flags[@]}"
}

python -m utils.synthetic --out $scenes --size 384x288 --views 1 --count "$(part_of 1500)" --seed 2000

begun=models/trained/disparity-begun.safetensors
[ -f $begun ] || python -m models.bundled.transplant $begun "$first" \
    "$data/efficientnet_lite2_imagenet.safetensors" "$data/photos/images"

pair=models/trained/disparity-pair.safetensors
labelled=data/photos-relabelled-by-pair

strong_data_sets "$data/photos" 0.2 $scenes > "$sets"
part small $begun "${STEPS:-$(part_of 6000)}" 6e-4 2e-4 3 256x192 192x256,224x224,288x160 0.5
part middle models/trained/disparity-small.tar "${MORE_STEPS:-$(part_of 6000)}" 5e-4 1.5e-4 7 \
    320x256 256x320,288x288,384x256 0.6

if [ ! -d $labelled ]; then
    python -m models.bundled.join_networks $pair "$first" models/trained/disparity-middle-best.tar
    python -m models.bundled.relabel_photos "$data/photos" $labelled $pair
fi
strong_data_sets $labelled 0.8 $scenes > "$sets"
part large models/trained/disparity-middle-best.tar "${LAST_STEPS:-$(part_of 3000)}" 3e-4 1e-4 11 \
    384x288 288x384,352x352,512x288 0.7

mean=models/trained/disparity-mean.safetensors
[ -f $mean ] ||
    python -m models.bundled.pack_weights $mean models/trained/disparity-{middle-best,large}.tar
strong_data_sets $labelled 0.3 $scenes 4.0 6.0 > "$sets"
order=(--trim 0 --weight rank=0.3 --weight ssi_grad=0.25)
part order $mean "${ORDER_STEPS:-$(part_of 1400)}" 1.5e-4 5e-5 21 \
    384x288 256x192,256x192,192x256,224x224,320x256,256x320 0.75 "${order[@]}" --weight log=0.3
part mix models/trained/disparity-order.tar "${MIX_STEPS:-$(part_of 600)}" 2e-4 7e-5 51 \
    320x240 256x192,192x256,224x224,288x208,240x320 0.7 "${order[@]}" --weight log=0.6 --mix 0.5

detail=models/trained/disparity-detail.safetensors
python -m models.bundled.pack_weights $detail models/trained/disparity-{order,mix}.tar
python -m models.bundled.join_networks "${PACKED:-$pair}" "$first" $detail

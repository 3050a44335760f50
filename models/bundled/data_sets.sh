# For the recipes beside this file, which source it: what they train on.
#
# data_sets NYU PHOTOS_FOLDER PHOTOS SCENES_FOLDER SCENES prints the list that train.py takes as
# --dataset-file. The numbers say how often an item of each set is drawn; 0 leaves the set out.
# $data is the folder that MODEL_CARD.md describes.

# part_of NUMBER prints PERCENT (environment; default 100) of it, at least 1: of steps and of scenes,
# so that a whole recipe can be tried in an hour.
part_of() {
    local number=$(($1 * ${PERCENT:-100} / 100))
    echo $((number > 0 ? number : 1))
}

data_sets() {
    local sets=()
    [ "$1" = 0 ] || sets+=("{\"name\": \"nyu\", \"path\": \"$data/nyu-train\", \"depth_unit\": 0.001,
  \"param\": {\"baseline\": 0.1, \"focal\": 355}, \"weight\": $1}")
    [ "$3" = 0 ] || sets+=("{\"name\": \"photos\", \"path\": \"$2\", \"disparity\": \"relative\",
  \"param\": {\"baseline\": 1, \"focal\": 192}, \"weight\": $3}")
    [ "$5" = 0 ] || sets+=("{\"name\": \"scenes\", \"path\": \"$4\",
  \"param\": {\"baseline\": 0.1, \"focal\": 192}, \"weight\": $5}")
    local IFS=,
    echo "[${sets[*]}]"
}

# strong_data_sets PHOTOS_FOLDER PHOTOS SCENES_FOLDER [STRONG TABLES] prints the list with the strong
# labels; PHOTOS, STRONG and TABLES say how often a photograph, a clip and a table top are drawn. An
# item of the strong labels is a clip, of which any frame may come; every sixth clip is held out. To
# validate it also has rooms and table tops of $data/val, which are never trained on.
strong_training=nyu,tables,stereo,photos,scenes,strong,people,weak
strong_validation=strong-held-out,rooms-held-out,tables-held-out
# With these the sharp and the measured labels, in the same list, are taken as well: how much a
# label of theirs is worth stands in the column `weight` of their indices, and its kinds go by stem.
sharp_training=$strong_training,sharp,soft,objects,measured,doubtful
sharp_validation=$strong_validation,sharp-held-out,measured-held-out

strong_data_sets() {
    local strong="\"path\": \"$data/strong\", \"index\": \"index.csv\", \"disparity\": \"relative\",
  \"disparity_folder\": \"nearness\", \"unknown\": 0, \"param\": {\"baseline\": 1, \"focal\": 256}"
    local sharp="\"path\": \"$data/strong2\", ${strong#*, }"
    local measured="\"path\": \"$data/measured\", ${strong#*, }"
    local soft="da360|oneshot|tief|dmd|sharp_" doubtful="wild_|dgp|nusc"
    local objects="osd_|posecnn_|gqcnn_|arc|graspnet|rccube_|booster|keti|mb01_|zis"
    local weak="depthy_|dvd_|omnidata_|genpercept_|distill_" people="mc_|tum_"
    local scene name
    mkdir -p data/middlebury/{images,disparity}
    for scene in "$data"/val/stereo/*/; do
        name=$(basename "$scene").png
        ln -sf "${scene}left.png" "data/middlebury/images/$name"
        ln -sf "${scene}disp_left.png" "data/middlebury/disparity/$name"
    done
    cat <<END
[{"name": "nyu", "path": "$data/nyu-train", "depth_unit": 0.001,
  "param": {"baseline": 0.1, "focal": 355}, "weight": 0.8},
 {"name": "tables", "path": "$data/tables", "depth_unit": 0.001,
  "param": {"baseline": 0.1, "focal": 570}, "weight": ${5:-5.0}},
 {"name": "stereo", "path": "$data/stereo", "disparity": "relative", "unknown": 0,
  "disparity_folder": "nearness", "param": {"baseline": 1, "focal": 256}, "weight": 4.0},
 {"name": "photos", "path": "$1", "disparity": "relative",
  "param": {"baseline": 1, "focal": 192}, "weight": $2},
 {"name": "scenes", "path": "$3",
  "param": {"baseline": 0.1, "focal": 192}, "weight": 0.7},
 {"name": "strong", $strong, "stems": "(?!$weak|$people)", "part": "train", "weight": ${4:-2.6}},
 {"name": "people", $strong, "stems": "$people", "part": "train", "weight": 0.8},
 {"name": "weak", $strong, "stems": "$weak", "part": "train", "weight": 0.2},
 {"name": "sharp", $sharp, "stems": "(?!$soft)", "part": "train", "weight": 5.0},
 {"name": "soft", $sharp, "stems": "$soft", "part": "train", "weight": 1.0},
 {"name": "objects", $measured, "stems": "$objects", "part": "train", "weight": 4.0},
 {"name": "measured", $measured, "stems": "(?!$objects|$doubtful)", "part": "train",
  "weight": 2.5},
 {"name": "doubtful", $measured, "stems": "$doubtful", "part": "train", "weight": 0.6},
 {"name": "sharp-held-out", $sharp, "stems": "(?!$soft)", "part": "held out"},
 {"name": "measured-held-out", $measured, "stems": "(?!$doubtful)", "part": "held out"},
 {"name": "strong-held-out", $strong, "stems": "(?!$weak)", "part": "held out"},
 {"name": "rooms-held-out", "path": "$data/val/rgbd", "depth_unit": 0.001,
  "param": {"baseline": 0.1, "focal": 355}},
 {"name": "tables-held-out", "path": "data/middlebury", "disparity": "relative", "unknown": 0,
  "param": {"baseline": 1, "focal": 256}}]
END
}

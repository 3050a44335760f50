# For the recipes beside this file, which source it: what they train on.
#
# data_sets NYU PHOTOS_FOLDER PHOTOS SCENES_FOLDER SCENES prints the list that train.py takes as
# --dataset-file. The numbers say how often an item of each set is drawn; 0 leaves the set out.
# $data is the folder that MODEL_CARD.md describes.

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

# For train_estimation.sh, which sources it: what the second estimation network is trained on.
#
# second_data_sets PHOTOS SCENES prints the list that train.py takes as --dataset-file; $data is the
# folder that MODEL_CARD.md describes. Weights say how often an item is drawn; an item of the strong
# labels is a clip, of which any frame may come. Every sixth of those clips is held out.

second_data_sets() {
    local strong="\"path\": \"$data/strong\", \"index\": \"index.csv\", \"disparity\": \"relative\",
  \"disparity_folder\": \"nearness\", \"unknown\": 0, \"param\": {\"baseline\": 1, \"focal\": 256}"
    local weak="depthy_|dvd_|omnidata_|genpercept_|distill_" people="mc_|tum_"
    cat <<END
[{"name": "nyu", "path": "$data/nyu-train", "depth_unit": 0.001,
  "param": {"baseline": 0.1, "focal": 355}, "weight": 0.6},
 {"name": "tables", "path": "$data/tables", "depth_unit": 0.001,
  "param": {"baseline": 0.1, "focal": 570}, "weight": 1.2},
 {"name": "stereo", "path": "$data/stereo", "disparity": "relative", "unknown": 0,
  "disparity_folder": "nearness", "param": {"baseline": 1, "focal": 256}, "weight": 2.0},
 {"name": "photos", "path": "$1", "disparity": "relative",
  "param": {"baseline": 1, "focal": 192}, "weight": ${PHOTOS_WEIGHT:-0.2}},
 {"name": "scenes", "path": "$2",
  "param": {"baseline": 0.1, "focal": 192}, "weight": 0.2},
 {"name": "strong", $strong, "stems": "(?!$weak|$people)", "part": "train", "weight": 2.6},
 {"name": "people", $strong, "stems": "$people", "part": "train", "weight": 1.2},
 {"name": "weak", $strong, "stems": "$weak", "part": "train", "weight": 0.4},
 {"name": "strong-held-out", $strong, "stems": "(?!$weak)", "part": "held out"},
 {"name": "rooms-held-out", "path": "$data/val/rgbd", "depth_unit": 0.001,
  "param": {"baseline": 0.1, "focal": 355}},
 {"name": "tables-held-out", "path": "data/middlebury", "disparity": "relative", "unknown": 0,
  "param": {"baseline": 1, "focal": 256}}]
END
}

#!/usr/bin/env bash
# Fetch published weights into models/trained/.
#
#   ./download_models.sh                  what a film needs: the paper's networks and VGG-19
#   ./download_models.sh paper original   one or more sets: film, paper, original, vgg, all
#   ./download_models.sh inpainting-color single files, with or without their suffix
#   ./download_models.sh --list           every file with its set and address
#
# Interrupted downloads resume; complete files are skipped; what arrives is checked before it takes
# its final name. Exit status: 0 everything is there, 1 something failed, 2 wrong usage.
# Environment: KBE_MODELS_DIR (where to), KBE_PAPER_URL, KBE_DRIVE_URL, KBE_TORCH_URL (where from).
# Runs on the bash 3.2 of macOS; needs curl or wget.

set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${KBE_MODELS_DIR:-$here/models/trained}
paper_url=${KBE_PAPER_URL:-http://content.sniklaus.com/kenburns}
drive_url=${KBE_DRIVE_URL:-https://drive.usercontent.google.com}
torch_url=${KBE_TORCH_URL:-https://download.pytorch.org/models}

# File, set, where it lies, smallest possible size in bytes (4 per parameter), start of its SHA-256.
catalogue() {
    cat <<'TABLE'
network-disparity.pytorch          paper     -                                  357387016  -
network-refinement.pytorch         paper     -                                  2427560    -
network-inpainting.pytorch         paper     -                                  33142560   -
disparity-estimation-no-mask.tar   original  1qlzhkfC58zsnEPZdQDukHEBIEKJB-6Mc  357387016  -
disparity-estimation-mask.tar      original  13Y6-hdM8MEDBRmv0owwjtYScBiu5aOw3  357387016  -
disparity-refinement.tar           original  1pnkRqUKS2T4QZ161RCToykeK0Z3BL271  2419300    -
inpainting-color.tar               original  1OV46pzDl29fft13ZNJEvkAC6AjU3fvyc  33142560   -
inpainting-depth.tar               original  1s8lPOMVK4eTb5gA5_huBmbUMAeOBG-CA  33142560   -
inpainting-pretrained.tar          original  1185R-YeKRyBulMQmW-91sfx5-y8ShloW  33142560   -
vgg19_bn-c79401a0.pth              vgg       -                                  574712992  c79401a0
vgg16-397923af.pth                 vgg       -                                  553430176  397923af
TABLE
}

usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

# address FILE SET ID: where the file comes from.
address() {
    case $2 in
        paper) echo "$paper_url/$1" ;;
        original) echo "$drive_url/download?id=$3&export=download&confirm=t" ;;
        vgg) echo "$torch_url/$1" ;;
    esac
}

# chosen NAME FILE SET: whether a name from the command line means this file.
chosen() {
    case $1 in
        all | "$2" | "${2%.*}" | "$3") return 0 ;;
        film) [ "$3" = paper ] || [ "$2" = vgg19_bn-c79401a0.pth ] ;;
        vgg19_bn | vgg16) [ "${2%%-*}" = "$1" ] ;;
        *) return 1 ;;
    esac
}

# fetch ADDRESS FILE: continue or begin a download. Returns 33 if it cannot be continued.
fetch() {
    local bar=--silent
    if command -v curl >/dev/null; then
        if [ -t 2 ]; then bar=--progress-bar; fi
        # A part with nothing beyond its end (416) counts as success, so what arrived is checked.
        curl --fail --location --retry 3 --connect-timeout 30 --show-error "$bar" \
            --continue-at - --output "$2" "$1"
    elif command -v wget >/dev/null; then
        wget --no-verbose --tries 3 --timeout 60 --continue --output-document "$2" "$1"
    else
        echo "neither curl nor wget is installed" >&2
        return 127
    fi
}

sha256() {
    if command -v sha256sum >/dev/null; then
        sha256sum "$1"
    elif command -v shasum >/dev/null; then
        shasum -a 256 "$1"
    else
        openssl dgst -sha256 -r "$1"
    fi | cut -c 1-64
}

# what_is_wrong FILE SMALLEST HASH: print why a file cannot be these weights; nothing if it can.
what_is_wrong() {
    local start size hash
    [ -s "$1" ] || { echo "nothing arrived"; return; }
    start=$(head -c 4 "$1" | od -An -tx1 | tr -d ' \n')
    size=$(wc -c <"$1" | tr -d ' ')
    case $start in
        504b0304 | 80028a0a) ;; # what torch.save writes: a zip archive, before 2020 a pickle
        *)
            if head -c 512 "$1" | LC_ALL=C grep -qi '<[a-z!]'; then
                echo "a web page arrived, not weights"
            else
                echo "what arrived is no weights file (it begins with the bytes $start)"
            fi
            return ;;
    esac
    if [ "$size" -lt "$2" ]; then
        echo "it is too short: $size bytes, at least $2 expected"
    elif [ "$start" = 504b0304 ] && ! tail -c 65557 "$1" | LC_ALL=C grep -aq $'PK\005\006'; then
        echo "its end is missing"
    elif [ "$3" != - ]; then
        hash=$(sha256 "$1")
        case $hash in
            "$3"*) ;;
            *) echo "its SHA-256 begins with $(echo "$hash" | cut -c 1-8), not $3" ;;
        esac
    fi
}

# get FILE ADDRESS SMALLEST HASH: bring one file, or say why not and return 1.
get() {
    local file=$folder/$1 part=$folder/$1.part problem resumed
    if [ -e "$file" ]; then
        problem=$(what_is_wrong "$file" "$3" "$4")
        if [ -z "$problem" ]; then
            echo "$1: already there"
            return 0
        fi
        echo "$1: fetched again, for the file that is there is not whole: $problem" >&2
    fi
    echo "$1: from $2" >&2
    while :; do
        resumed=no
        if [ -e "$part" ]; then resumed=yes; fi
        fetch "$2" "$part"
        case $? in
            0) problem=$(what_is_wrong "$part" "$3" "$4") ;;
            33) problem="it cannot be continued" ;;
            *)
                echo "$1: the download failed; run this again to continue it" >&2
                return 1 ;;
        esac
        if [ -z "$problem" ]; then break; fi
        rm -f "$part"
        if [ $resumed = no ]; then
            echo "$1: $problem" >&2
            return 1
        fi # else the old part was of something else: once more, from the beginning
    done
    mv -f "$part" "$file" || return 1
    echo "$1: done"
}

# known NAME: whether it names at least one file.
known() {
    local file set rest
    while read -r file set rest; do
        if chosen "$1" "$file" "$set"; then return 0; fi
    done < <(catalogue)
    return 1
}

list() {
    local file set id rest
    while read -r file set id rest; do
        printf '%-34s %-9s %s\n' "$file" "$set" "$(address "$file" "$set" "$id")"
    done < <(catalogue)
}

# wanted NAMES...: the lines of the catalogue that any of the names means.
wanted() {
    local line name file set rest
    while read -r line; do
        read -r file set rest <<<"$line"
        for name in "$@"; do
            if chosen "$name" "$file" "$set"; then
                echo "$line"
                break
            fi
        done
    done < <(catalogue)
}

main() {
    local name file set id smallest hash failed=
    [ $# -gt 0 ] || set -- film
    for name in "$@"; do
        case $name in
            -h | --help) usage; exit 0 ;;
            --list) list; exit 0 ;;
        esac
        if ! known "$name"; then
            echo "download_models.sh: error: no file or set is called '$name'." >&2
            echo "  Sets: film, paper, original, vgg, all. Files: ./download_models.sh --list" >&2
            exit 2
        fi
    done
    mkdir -p "$folder" || exit 1
    while read -r file set id smallest hash; do
        get "$file" "$(address "$file" "$set" "$id")" "$smallest" "$hash" </dev/null ||
            failed="$failed $file"
    done < <(wanted "$@")
    if [ -n "$failed" ]; then
        echo "download_models.sh: error: not fetched:$failed" >&2
        echo "  The rest is in $folder. See above for each reason, then run the same again." >&2
        case $failed in *.tar*)
            echo "  Google Drive answers with a page once a file's daily quota is used up; a day" >&2
            echo "  later, or in a browser, the addresses of ./download_models.sh --list work." >&2 ;;
        esac
        exit 1
    fi
}

main ${1+"$@"}

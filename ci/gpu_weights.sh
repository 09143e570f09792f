#!/bin/sh
# Train the full networks anew in one call of a machine with a GPU; what is cut short goes on at the next call.
#
#   sh ci/gpu_weights.sh GALAXIES.h5 SURVEYS OUT [further options of galaxylib train]
#
# GALAXIES.h5: `galaxylib simulate --n 48000 --seed 11 --balance uniform --out GALAXIES.h5`,
# beforehand or there, where GalSim is installed (benchmarks/results/simulate.json has the rates).
# SURVEYS: a folder with gz2/, gz1/ and decals_unlabelled/, as `galaxylib train --help` describes them.
# OUT: gets a checkpoint folder of each network.
#
# The recipe of `pretrained` took about seven minutes on an NVIDIA H200; `real` was never tried there. LIMIT
# (seconds, 540 by default) ends each training early enough for a second try, after its last whole epoch.
set -eu
data=$1 surveys=$2 out=$3
shift 3
unlabelled="--unlabelled $surveys/decals_unlabelled"
labelled="--votes $surveys/gz2 --coarse $surveys/gz1"
for recipe in ${RECIPES:-pretrained real}; do
    case $recipe in
    real*) companions="$labelled $unlabelled" ;;
    *) companions="--statistics both $unlabelled" ;;
    esac
    # shellcheck disable=SC2086 - the options are words
    timeout --signal=TERM "${LIMIT:-540}" python -m galaxylib train --recipe "$recipe" --data "$data" \
        --out "$out/$recipe" $companions --resume "$@" || echo "$recipe: ended early; call again to go on"
done

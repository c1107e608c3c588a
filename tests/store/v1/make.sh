#!/usr/bin/env bash
# Makes the store of schema version 1 and what its own code exports of it; see README.md.
# Run in an empty folder: make.sh CHECKOUT, a checkout of commit de0b316 with its environment (make demo).
set -euo pipefail
here=$(dirname "$(realpath "$0")")
checkout=$(realpath "$1")
e2analytics=$checkout/.venv/bin/e2analytics

"$e2analytics" simulate cohort --patients 100 --seed 20261101 --on-drug-share 0.7
"$checkout/.venv/bin/python" "$here/cut_drops.py" cohort/drop drops
night=0
for day in 2026-08-31 2026-09-15; do
  night=$((night + 1))
  "$e2analytics" run --drop drops/$night --store store --as-of $day
  mkdir -p exports/run-00000$night
  for contract in "$checkout"/schemas/contracts/*.yaml; do
    table=$(basename "$contract" .yaml)
    "$e2analytics" export "$table" --store store --as-of $day --format parquet \
      -o exports/run-00000$night/"$table".parquet
  done
done
tar -cJf "$here/store.tar.xz" store
tar -cJf "$here/exports.tar.xz" exports
rm -rf "$here/drop"
cp -r drops/3 "$here/drop"

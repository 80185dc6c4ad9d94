#!/usr/bin/env bash
# Is there a Chromium for the tests? As root on Debian, install it; else say what to do.
set -euo pipefail
if [ -n "${HEADWATER_CHROMIUM:-}" ]; then
  [ -x "$HEADWATER_CHROMIUM" ] && exit
  echo "HEADWATER_CHROMIUM: no program at $HEADWATER_CHROMIUM" >&2
  exit 1
fi
for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null && exit
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "no Chromium here: install the package chromium, or set HEADWATER_CHROMIUM to a Chromium or Chrome" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null

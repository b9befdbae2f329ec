#!/bin/sh
# Reports one made-up diagnosis key of yesterday with a code, by curl alone: the whole call is one JSON object, padded
# with spaces to 4,096 bytes. A real app keeps two secrets and sends their hashes; here the IDs are just drawn.
# Usage: report-by-curl.sh CODE [BASE_URL]
set -eu
code=$1
base_url=${2:-http://127.0.0.1:8787}
drawn() { head -c "$1" /dev/urandom | basenc --base64url --wrap=0 | tr -d '='; }
start=$((($(date +%s) / 86400 - 1) * 144))
key="{\"key_data\":\"$(drawn 16)\",\"rolling_start_interval_number\":$start,\"rolling_period\":144}"
call="{\"act\":\"report\",\"code\":\"$code\",\"tracking_id\":\"$(drawn 32)\",\"continue_id\":\"$(drawn 32)\",\"keys\":[$key]}"
printf '%-4096s' "$call" |
    curl --silent --show-error --header 'Content-Type: application/json' --data-binary @- "$base_url/v1/reports" |
    sed 's/ *$//'
echo

#!/usr/bin/env bash
# Makes what Temporal's rights need, with openssl:
#
#   tokens.sh keys KEY...                              the public halves of these keys, for TEMPORAL_JWT_KEYS (JWKS)
#   tokens.sh token KEY SUBJECT DAYS PERMISSION...     a token for TEMPORAL_API_KEY, signed by the key
#
# KEY is a file with an RSA key: (umask 077; openssl genrsa -out jwt.key 3072)
set -euo pipefail

base64url() { basenc --base64url --wrap=0 | tr -d =; }
key_id() { openssl rsa -in "$1" -pubout -outform DER 2>/dev/null | sha256sum | cut -c -16; }
modulus() { openssl rsa -in "$1" -noout -modulus | cut -d = -f 2 | basenc --base16 --decode | base64url; }

keys() {
    local separator='' key
    printf '{"keys":['
    for key; do
        printf '%s{"kty":"RSA","alg":"RS256","use":"sig","kid":"%s","n":"%s","e":"AQAB"}' \
            "$separator" "$(key_id "$key")" "$(modulus "$key")"
        separator=,
    done
    printf ']}\n'
}

token() {
    local key=$1 subject=$2 ends signed permissions
    ends=$(($(date +%s) + $3 * 86400))
    printf -v permissions '"%s",' "${@:4}"
    signed=$(printf '{"alg":"RS256","typ":"JWT","kid":"%s"}' "$(key_id "$key")" | base64url)
    signed+=.$(printf '{"sub":"%s","exp":%d,"permissions":[%s]}' "$subject" "$ends" "${permissions%,}" | base64url)
    printf '%s.%s\n' "$signed" "$(printf %s "$signed" | openssl dgst -sha256 -sign "$key" | base64url)"
}

"$@"

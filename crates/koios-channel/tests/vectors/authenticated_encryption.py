"""Chunks of the policies with authenticated encryption, computed from the text of OPC 10000-6 (1.05.07) §6.7.2.4 and §6.8.1
with the Python package `cryptography`, and with nothing of Koios: `python3 authenticated_encryption.py > authenticated_encryption.json`.
"""

import json
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

POLICIES = {
    "ECC_nistP256_AesGcm": (hashes.SHA256, 32, 16, AESGCM),
    "ECC_nistP256_ChaChaPoly": (hashes.SHA256, 32, 32, ChaCha20Poly1305),
    "ECC_nistP384_AesGcm": (hashes.SHA384, 48, 32, AESGCM),
    "ECC_nistP384_ChaChaPoly": (hashes.SHA384, 48, 32, ChaCha20Poly1305),
}
VECTOR_LEN = 12
TAG_LEN = 16
CHANNEL_ID, TOKEN_ID, REQUEST_ID = 7, 0x01020304, 3
# 0 and all bits: the numbers of these policies wrap there.
SEQUENCE_NUMBERS = [1, 0x11223344, 0]
BODY = b"what is said"


def chunk(policy, mode, secrets, sequence_number):
    hash_, secret_len, key_len, cipher = POLICIES[policy]
    # Each renewal's secret is mixed with all before it.
    keying = bytes(secret_len)
    for secret in secrets:
        keying = bytes(a ^ b for a, b in zip(keying, bytes([secret]) * secret_len))
    sender, receiver = bytes([1]) * 2 * secret_len, bytes([2]) * 2 * secret_len
    length = key_len + VECTOR_LEN
    salt = struct.pack("<H", length) + b"opcua-client" + sender + receiver
    material = HKDF(hash_(), length, salt, salt).derive(keying)
    key, vector = material[:key_len], material[key_len:]
    mask = struct.pack("<II", TOKEN_ID, (sequence_number - 1) % 2**32) + bytes(4)
    nonce = bytes(a ^ b for a, b in zip(vector, mask))
    content = struct.pack("<II", sequence_number, REQUEST_ID) + BODY
    size = 16 + len(content) + TAG_LEN
    headers = b"MSGF" + struct.pack("<III", size, CHANNEL_ID, TOKEN_ID)
    if mode == "Sign":
        return headers + content + cipher(key).encrypt(nonce, b"", headers + content)
    return headers + cipher(key).encrypt(nonce, content, headers)


print(
    json.dumps(
        [
            {
                "policy": policy,
                "mode": mode,
                "secrets": secrets,
                "sequence_number": number,
                "chunk": chunk(policy, mode, secrets, number).hex(),
            }
            for policy in POLICIES
            for mode in ["Sign", "SignAndEncrypt"]
            for secrets in [[0x33], [0x33, 0x5A], [0x33, 0x5A, 0xC4]]
            for number in SEQUENCE_NUMBERS
        ],
        indent=1,
    )
)

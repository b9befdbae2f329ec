"""Signing a built version: its head as a signed note, its GAEN files as zips. Every signature is checked at once.

The private keys are behind `Signer`s; what is signed is exactly what was built.
"""

import hashlib
from collections.abc import Mapping

from msgspec import Struct

from tocsin.formats.gaen.signature import PublicKey, is_signed_by
from tocsin.formats.gaen.writer import encode_signature_list, zip_export
from tocsin.formats.leaf import Profile, head_text, object_name
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.policy import SignatureInfo
from tocsin.model.ports import Signer
from tocsin.publication.build import Built, Export
from tocsin.publication.index import Index
from tocsin.transparency.note import NoteVerifier, sign_note


class GaenKey(Struct, frozen=True):
    """A GAEN signing key and its public half, with which each file is verified before it goes out."""

    signer: Signer
    public_key: PublicKey


class SigningKeys(Struct, frozen=True):
    """The keys of a publisher, separate by purpose. The origin is the name of the head's key."""

    head: Signer
    head_verifier: NoteVerifier
    gaen: Mapping[SignatureInfo, GaenKey]


class Release(Struct, frozen=True, eq=False):
    """A version ready for the bucket: immutable objects by name, then the index, then the head."""

    version: int
    term: int
    objects: Mapping[str, bytes]
    index: Index
    head: bytes


def sign(built: Built, keys: SigningKeys) -> Release:
    """`built`, signed. Raises `Unavailable` if a key that the version names is not here, `Invalid` if one is wrong."""
    region = built.leaf.region
    objects = {
        object_name(region, entry.profile, hashlib.sha256(entry.data).digest()): entry.data for entry in built.objects
    }
    for export in built.exports:
        name = object_name(region, Profile.GAEN, hashlib.sha256(export.data).digest())
        objects[name] = _signed_zip(export, keys.gaen)
    head = sign_note(head_text(keys.head_verifier.name, built.leaf), keys.head_verifier, keys.head)
    return Release(built.leaf.version, built.leaf.term, objects, built.index, head)


def _signed_zip(export: Export, gaen: Mapping[SignatureInfo, GaenKey]) -> bytes:
    infos = export.header.signature_infos
    signatures = []
    for info in infos:
        key = gaen.get(info)
        if key is None:
            raise Unavailable("a GAEN signing key that this version names is not in the key folder")
        signature = key.signer.sign(export.data)
        if not is_signed_by(key.public_key, export.data, signature):
            raise Invalid("a GAEN signature does not verify with the public key that phones hold")
        signatures.append(signature)
    listed = encode_signature_list(infos, signatures, export.header.batch_num, export.header.batch_size)
    return zip_export(export.data, listed)

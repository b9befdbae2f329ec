"""Signing a built version: its head as a signed note, its GAEN files as zips. Every signature is checked at once.

The private keys are behind `Signer`s; what is signed is exactly what was built.
"""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from msgspec import Struct

from tocsin.formats.gaen.signature import PublicKey, is_signed_by
from tocsin.formats.gaen.writer import encode_signature_list, zip_export
from tocsin.formats.leaf import Profile, head_text, object_name
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.policy import SignatureInfo
from tocsin.model.ports import Signer
from tocsin.model.times import utc
from tocsin.publication.build import Built, Export, Remade
from tocsin.publication.index import Index
from tocsin.transparency.note import NoteVerifier, sign_note


class GaenKey(Struct, frozen=True):
    """A GAEN signing key and its public half, with which each file is verified before it goes out.

    `signs_from`: it is announced to readers, and signs no version before this instant (UTC seconds).
    """

    signer: Signer
    public_key: PublicKey
    signs_from: int = 0


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


def signing_infos(
    infos: Sequence[SignatureInfo], gaen: Mapping[SignatureInfo, GaenKey], at: int
) -> tuple[SignatureInfo, ...]:
    """Those of `infos` that sign a version of `at`, in their order: each whose announced instant has come.

    Raises `Unavailable` if one is not in `gaen`, or if none is left: a version that names it could never be released.
    """
    for info in infos:
        if info not in gaen:
            raise Unavailable(
                f"gaen_signature_infos names the GAEN key {key_file(info)}, which is not in the key folder: restore it"
                " from its backup, or make a new one by `tocsin keys announce`"
            )
    signing = tuple(info for info in infos if gaen[info].signs_from <= at)
    if not signing:
        first = min(gaen[info].signs_from for info in infos)
        raise Unavailable(
            f"no GAEN key of gaen_signature_infos signs before {utc(first)}: name the old one beside the new until then"
        )
    return signing


def key_file(info: SignatureInfo) -> str:
    """The key's file within the key folder, as an operator knows it."""
    return f"gaen/{info.verification_key_id}-{info.verification_key_version}"


def sign(built: Built, keys: SigningKeys) -> Release:
    """`built`, signed. Raises `Unavailable` if a key that the version names is not here, `Invalid` if one is wrong."""
    objects = sign_files(built.leaf.region, built, keys)
    head = sign_note(head_text(keys.head_verifier.name, built.leaf), keys.head_verifier, keys.head)
    return Release(built.leaf.version, built.leaf.term, objects, built.index, head)


def sign_files(region: str, made: Built | Remade, keys: SigningKeys) -> dict[str, bytes]:
    """The immutable objects of `made`, by name. Raises as `sign`."""
    objects = {
        object_name(region, entry.profile, hashlib.sha256(entry.data).digest()): entry.data for entry in made.objects
    }
    with ThreadPoolExecutor() as threads:  # zipping lets go of Python's lock
        objects.update(threads.map(partial(_named_zip, region, keys.gaen), made.exports))
    return objects


def _named_zip(region: str, gaen: Mapping[SignatureInfo, GaenKey], export: Export) -> tuple[str, bytes]:
    name = object_name(region, Profile.GAEN, hashlib.sha256(export.data).digest())
    return name, _signed_zip(export, gaen)


def _signed_zip(export: Export, gaen: Mapping[SignatureInfo, GaenKey]) -> bytes:
    infos = export.header.signature_infos
    signatures = []
    for info in infos:
        key = gaen.get(info)
        if key is None:
            raise Unavailable(
                f"the GAEN key {key_file(info)}, which signs files in force, is not in the key folder: restore it from"
                " its backup. A key that signs no more is still needed for as long as `tocsin keys list` says"
            )
        signature = key.signer.sign(export.data)
        if not is_signed_by(key.public_key, export.data, signature):
            raise Invalid("a GAEN signature does not verify with the public key that phones hold")
        signatures.append(signature)
    listed = encode_signature_list(infos, signatures, export.header.batch_num, export.header.batch_size)
    return zip_export(export.data, listed)

"""Who said it: texts signed so that every reader can hold the signer to them. Pure; keys are handed in.

Promises: a note that opens was signed, byte for byte, by a key that the reader named; a wrong signature by a known key
refuses the note, whatever other lines say. What the text means is for `formats.leaf` and `client.sync`.

Read `note` (C2SP signed notes with Ed25519); its page is ``docs/formats/leaf.md``. The publication log, its proofs and
witnesses will be its neighbours.
"""

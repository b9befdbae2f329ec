"""Export files of Google/Apple Exposure Notification: ``export.bin`` and ``export.sig`` in a zip.

What phones and key servers of that world read and write, byte for byte (``docs/formats/gaen.md``). Read in this order:
`schema` (the messages), `key_fields` (keys as columns to bytes), `writer`, `container` (the zip), `reader`,
`signature`, `inspect`. Signing needs a private key and is done elsewhere, over the bytes made here.
"""

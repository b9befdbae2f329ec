"""Bytes to model values and back, for everything that others read: one module a format, each with its page. Pure.

Promises: each value has one spelling, and any other bytes are `Invalid`, whatever they are; decoding makes room for no
more than the bytes that are there. What is well formed is said here; whether it is taken, trusted or new is said by
`rules` and `client`. A change of these bytes is a change of ``docs/formats`` and of the vectors.

Read in this order: `wire` (the apps' call and its answer), `set_digest` (what a public set is, in 32 bytes), `keyset`
(dump and delta), `leaf` (what a head says, names of objects, lists of files), `gaen` (exports for Apple's and Google's
phones).
"""

"""Signed notes, Merkle tree, proofs."""

"""Plan, build, sign, release and prune what is put out."""

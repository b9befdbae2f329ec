"""Modules that only other programs load, atheris and schemathesis: pytest leaves them alone."""

collect_ignore = ["under_atheris.py", "door/hooks.py"]

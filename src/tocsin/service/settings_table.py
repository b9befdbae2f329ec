"""A table of `tocsin.toml` read into a struct: what is wrong is said by the setting's name, and what it should be."""

import difflib
import json
from typing import Any, Final, TypeVar

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo

from tocsin.model.errors import Invalid

_T = TypeVar("_T", bound=Struct)

_KINDS: Final[dict[object, str]] = {
    str: "text in quotes",
    int: "a whole number, without quotes or unit",
    bool: "true or false, without quotes",
}


def read_table(table: dict[str, Any], struct: type[_T], above: str = "") -> _T:
    """`table` as a `struct`, whose own checks say a field's name first; `above` is the path to it, such as ``policy.``.

    Raises `Invalid` for a name that is no setting, for one that is missing, and for a value of the wrong kind. Values
    are never repeated.
    """
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    for name in table:
        if name not in fields:
            raise Invalid(f"`{above}{name}` is no setting{_advice(name, fields)}")
    for field in fields.values():
        if field.required and field.name not in table:
            raise Invalid(f"`{above}{field.name}` is missing: it has no default")
    values = {name: _value(value, fields[name], above) for name, value in table.items()}
    try:
        return struct(**values)
    except ValueError as error:  # the struct's own words
        raise Invalid(f"{above}{error}") from None


def _value(value: Any, field: FieldInfo, above: str) -> Any:
    name = f"{above}{field.name}"
    if isinstance(field.type, type) and issubclass(field.type, Struct) and not field.type.__struct_config__.array_like:
        if not isinstance(value, dict):
            raise Invalid(f"`{name}` must be a table: [{name}]")
        return read_table(value, field.type, f"{name}.")
    try:
        return msgspec.convert(value, field.type)
    except msgspec.ValidationError:
        raise Invalid(f"`{name}` must be {_kind(field)}") from None


def _kind(field: FieldInfo) -> str:
    if field.type in _KINDS:
        return _KINDS[field.type]
    assert field.default is not NODEFAULT
    return f"written like its default, {json.dumps(msgspec.to_builtins(field.default))}"


def _advice(name: str, fields: dict[str, FieldInfo]) -> str:
    close = difflib.get_close_matches(name, fields, n=1)
    return f": is `{close[0]}` meant?" if close else ""

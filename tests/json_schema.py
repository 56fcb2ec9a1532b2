"""The part of JSON Schema that our OpenAPI document uses, so that a test can hold answers against it."""

from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def violations(value: Any, schema: dict[str, Any], components: dict[str, Any], where: str = "$") -> list[str]:
    """What in `value` does not fit; empty where all does. Fields that the schema does not name count as a violation."""
    if "$ref" in schema:
        return violations(value, components[schema["$ref"].rpartition("/")[2]], components, where)
    if "anyOf" in schema:
        tried = [violations(value, option, components, where) for option in schema["anyOf"]]
        return [] if any(not found for found in tried) else [f"{where}: fits none: {tried}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where}: {value!r} is not one of {schema['enum']}"]
    if "type" in schema:
        fits = isinstance(value, TYPES[schema["type"]])
        if not fits or (isinstance(value, bool) and schema["type"] in ("integer", "number")):
            return [f"{where}: {value!r} is no {schema['type']}"]
    found: list[str] = []
    if isinstance(value, dict) and "properties" in schema:
        found += [f"{where}.{name}: missing" for name in schema.get("required", ()) if name not in value]
        found += [f"{where}.{name}: not described" for name in value if name not in schema["properties"]]
        for name, inner in schema["properties"].items():
            if name in value:
                found += violations(value[name], inner, components, f"{where}.{name}")
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            found += violations(item, schema["items"], components, f"{where}[{index}]")
    return found

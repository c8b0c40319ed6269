"""Plug-ins: how one file declares a name, its parameters and their ranges, and how it is found and built.

A plug-in is a frozen dataclass marked `@plugin("name")` whose base (Dataset, Imbalance, Method, Model, Metric, Optimizer, Schedule,
Preprocessing, Augmentation) gives its kind. Every file in the folder of a kind is read, those that start with an underscore left out;
other people's come from `--plugins DIR` or from the entry-point group `skewbench.plugins`. A plug-in's module should import quickly (no
torch at its top): planning reads them all.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.metadata
import inspect
import pkgutil
import sys
import typing
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path as FilePath
from typing import Any, ClassVar, TypeVar, dataclass_transform

from pydantic import TypeAdapter, ValidationError

from benchmark.code_keys import remembered_key
from benchmark.errors import InvalidValue, Path, UserError, shown, unknown
from benchmark.identity import canonical, digest
from benchmark.imports import import_file, other_peoples_code
from benchmark.typed import in_words, is_optional, members, types_of

KINDS = ("datasets", "imbalances", "methods", "models", "metrics", "optimizers", "schedules", "preprocessings", "augmentations")
ENTRY_POINTS = "skewbench.plugins"
_known: dict[str, dict[str, type[Plugin]]] = {kind: {} for kind in KINDS}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plugin:
    """What every plug-in has: a kind, a name, parameters (its fields) and a source in the literature."""

    kind: ClassVar[str] = ""
    name: ClassVar[str] = ""
    source: ClassVar[str] = ""
    """Where it comes from: paper, section, equation."""

    @functools.cached_property
    def doc(self) -> Mapping[str, Any]:
        """`{name: {parameter: value}}` with every default filled in: what identity and reports see."""
        return {self.name: parameters_of(self)}

    @functools.cached_property
    def science(self) -> Mapping[str, Any]:
        """`doc` without the parameters that say where something lies rather than what it is: what identity is made of."""
        return {self.name: parameters_of(self, identity=True)}

    @functools.cached_property
    def text(self) -> str:
        """The canonical form of `doc`."""
        return canonical(self.doc)

    @functools.cached_property
    def code(self) -> Mapping[str, str]:
        """`{"kind:name": source key}` of this plug-in and of those among its parameters."""
        found = {f"{self.kind}:{self.name}": code_key(type(self))}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            found.update(value.code if isinstance(value, Plugin) else {})
        return found


P = TypeVar("P", bound=Plugin)


def parameter(  # noqa: PLR0913  # all that can be said of a parameter
    default: Any = dataclasses.MISSING,
    *,
    doc: str,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: tuple[Any, ...] | None = None,
    log: bool = False,
    identity: bool = True,
    later: bool = False,
) -> Any:
    """A field of a plug-in: its default, one line of explanation, and the range that is accepted (ends included; `above` is not).

    `identity=False` is for a place (a folder): results do not depend on it, so moving it re-runs nothing. No random stream sees it.
    `later` is for a parameter that was added to what had results already: its default is what was done before, and no part of identity.
    """
    meta = {"doc": doc, "low": low, "high": high, "above": above, "choices": choices, "log": log, "place": not identity, "later": later}
    return dataclasses.field(default=default, metadata={k: v for k, v in meta.items() if v is not None and v is not False})


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(parameter,))
def plugin(name: str) -> Callable[[type[P]], type[P]]:
    """Register the class under `name` in the kind of its base, as a frozen keyword-only dataclass."""

    def register(cls: type[P]) -> type[P]:
        made = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        made.name = name
        if made.kind not in _known:
            raise UserError(f"plug-in '{name}' has no kind: derive it from Dataset, Imbalance, Method, Model or Metric.")
        other = _known[made.kind].get(name)
        if other is not None and _file(other) != _file(made):
            raise UserError(f"two {made.kind} are called '{name}': {_file(other)} and {_file(made)}. Rename one.")
        _known[made.kind][name] = made
        return made

    return register


def names(kind: str) -> list[str]:
    """The names of a kind, sorted."""
    return sorted(_load(kind))


def get(kind: str, name: str, *, path: Path = ()) -> type[Plugin]:
    """The class registered under a name; InvalidValue with the nearest name if there is none."""
    found = _load(kind)
    if name not in found:
        raise InvalidValue(unknown(kind.removesuffix("s"), name, found), path=path)
    return found[name]


def build(kind: str, spec: Any, *, path: Path = ()) -> Plugin:
    """A plug-in from `name` or `{name: {parameter: value}}`; every parameter is checked."""
    name, given = split_spec(kind, spec, path=path)
    where = path if isinstance(spec, str) else (*path, name)
    return build_fields(get(kind, name, path=where), given, what=f"{kind.removesuffix('s')} '{name}'", path=where)


def split_spec(kind: str, spec: Any, *, path: Path = ()) -> tuple[str, Mapping[str, Any]]:
    """Name and given parameters of a plug-in as it stands in a suite."""
    if isinstance(spec, str):
        return spec, {}
    if isinstance(spec, Mapping) and len(spec) == 1:
        ((name, given),) = spec.items()
        if given is None or isinstance(given, Mapping):
            return str(name), given or {}
        raise InvalidValue(f"expected parameters as a mapping under '{name}', found {shown(given)}.", path=(*path, name))
    if isinstance(spec, Mapping):
        raise InvalidValue(
            f"expected one {kind.removesuffix('s')} as `name` or `{{name: {{parameter: value}}}}`, found {len(spec)} keys "
            f"({', '.join(map(str, spec))}). Several belong in a list.",
            path=path,
        )
    raise InvalidValue(f"expected a {kind.removesuffix('s')}'s name, found {shown(spec)}.", path=path)


T = TypeVar("T")


def build_fields(cls: type[T], given: Mapping[str, Any], *, what: str, path: Path = ()) -> T:
    """An instance of a dataclass from a mapping: unknown keys refused, types converted, ranges checked."""
    fields = {item.name: item for item in dataclasses.fields(cls)}  # type: ignore[arg-type]  # T is a dataclass here
    for key in given:
        if key not in fields:
            raise InvalidValue(unknown(f"parameter of {what}:", key, fields), path=(*path, key), at_key=True)
    missing = [n for n, f in fields.items() if n not in given and f.default is dataclasses.MISSING]
    if missing:
        raise InvalidValue(f"{what} needs the parameter '{missing[0]}': {fields[missing[0]].metadata.get('doc', '')}.", path=path)
    types = types_of(typing.cast(Hashable, cls))
    values = {key: _convert(value, types[key], fields[key], what, (*path, key)) for key, value in given.items()}
    try:
        return cls(**values)
    except InvalidValue as error:
        error.path = error.path or path
        raise


def plugin_kind(hint: Any) -> str | None:
    """The kind of plug-in that a parameter of this type holds, or None."""
    found = [part for part in (hint, *typing.get_args(hint)) if isinstance(part, type) and issubclass(part, Plugin)]
    return found[0].kind if found else None


def converted(cls: type, name: str, value: Any) -> Any:
    """A value as the parameter `name` of a class takes it; InvalidValue where its type or range is another."""
    item = next(item for item in dataclasses.fields(cls) if item.name == name)
    return _convert(value, types_of(cls)[name], item, getattr(cls, "name", "") or "the recipe", ())


def _convert(value: Any, hint: Any, item: dataclasses.Field[Any], what: str, path: Path) -> Any:
    kind = plugin_kind(hint)
    if kind is not None:
        return None if value is None and is_optional(hint) else build(kind, value, path=path)
    if isinstance(value, bool) and {int, float} & members(hint) and bool not in members(hint):
        raise InvalidValue(f"expected {in_words(hint)} for '{item.name}', found {str(value).lower()}.", path=path)
    try:
        converted = _adapter(hint).validate_python(value)
    except ValidationError:
        raise InvalidValue(f"expected {in_words(hint)} for '{item.name}', found {shown(value)}.", path=path) from None
    _check_range(converted, item, what, path)
    return converted


@functools.cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


def _check_range(value: Any, item: dataclasses.Field[Any], what: str, path: Path) -> None:
    meta = item.metadata
    if "choices" in meta and value not in meta["choices"]:
        raise InvalidValue(unknown(f"{item.name} of {what}:", value, map(str, meta["choices"])), path=path)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    bounds = [(meta.get("low"), value < meta.get("low", value), "at least"), (meta.get("high"), value > meta.get("high", value), "at most")]
    bounds.append((meta.get("above"), "above" in meta and value <= meta["above"], "more than"))
    if value != value:
        raise InvalidValue(f"expected a number for '{item.name}' of {what}, found nan.", path=path)
    for bound, broken, words in bounds:
        if broken:
            raise InvalidValue(f"expected {words} {bound} for '{item.name}' of {what}, found {value}.", path=path)


def parameters_of(instance: Any, *, identity: bool = False) -> dict[str, Any]:
    """The fields of a dataclass as plain JSON values, plug-ins among them as their `doc`; with `identity` as their `science`."""
    given = [(item, getattr(instance, item.name)) for item in dataclasses.fields(instance)]
    return {item.name: plain(value, identity=identity) for item, value in given if not (identity and _unsaid(item, value))}


def _unsaid(item: dataclasses.Field[Any], value: Any) -> bool:
    """Whether identity leaves a parameter out: a place, or one that was added later and is at its default."""
    return bool(item.metadata.get("place") or (item.metadata.get("later") and value == item.default))


def plain(value: Any, *, identity: bool = False) -> Any:
    """A parameter's value as JSON knows it; with `identity`, places are left out however deep they stand."""
    if isinstance(value, Plugin):
        return value.science if identity else value.doc
    if dataclasses.is_dataclass(value):
        return parameters_of(value, identity=identity)
    if isinstance(value, Mapping):
        return {str(key): plain(item, identity=identity) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item, identity=identity) for item in value]
    return str(value) if isinstance(value, FilePath) else value


def code_key(cls: type[Plugin]) -> str:
    """Key of the source that defines a plug-in: its file, and those of the classes between it and the base of its kind."""
    base = next(item for item in cls.__mro__ if "kind" in vars(item))
    own = [item for item in cls.__mro__ if item not in base.__mro__ and item.__module__.split(".")[0] not in sys.stdlib_module_names]
    keys = [remembered_key(file) for file in dict.fromkeys(_file(item) for item in own)]
    return keys[0] if len(keys) == 1 else digest("\n".join(keys))


def _file(cls: type) -> FilePath:
    return FilePath(inspect.getfile(cls))


@functools.cache
def _load(kind: str) -> dict[str, type[Plugin]]:
    if kind not in KINDS:
        raise UserError(unknown("kind of plug-in", kind, KINDS))
    package = importlib.import_module(f"benchmark.{kind}")
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{package.__name__}.{module.name}")
    _load_entry_points()
    return _known[kind]


@functools.cache
def _load_entry_points() -> None:
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        package = entry.dist.name if entry.dist else entry.value
        with other_peoples_code(f"the plug-in '{entry.value}' of the installed package '{package}'", remedy="Mend it or uninstall it."):
            entry.load()


def load_folder(folder: FilePath) -> list[type[Plugin]]:
    """Import every plug-in file of a folder (or one file); return the plug-ins that they declare."""
    files = [folder] if folder.is_file() else sorted(folder.glob("*.py"))
    if not files:
        raise UserError(f"no plug-in files (*.py) in {folder}.")
    modules = {import_file(file) for file in files if not file.name.startswith("_")}
    return [cls for kind in KINDS for cls in _load(kind).values() if cls.__module__ in modules]

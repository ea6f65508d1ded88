"""Reading what the library sends: form bodies with nested brackets, as typed values.

`items[0][price]=price_1&metadata[a]=b&expand[]=customer` becomes `{"items": [{"price": …}], "metadata": {…}, …}`
(docs.stripe.com/api: request bodies are form-encoded). A parameter that nobody reads is refused, as Stripe does, so
that a misspelt name cannot pass unseen.
"""

import re
from typing import Any
from urllib.parse import parse_qsl

from billing.sandbox.refusals import Refused

TRUE, FALSE = {"true", "1"}, {"false", "0"}
METADATA_KEYS, METADATA_KEY, METADATA_VALUE = 50, 40, 500


def parse_form(text: str) -> dict[str, Any]:
    """Nested dictionaries and lists of strings."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, *rest = [name.split("[", 1)[0], *re.findall(r"\[([^\]]*)\]", name)]
        _put(found, [head, *rest], value)
    return {key: _lists(value) for key, value in found.items()}


def _put(into: dict[str, Any], path: list[str], value: str) -> None:
    for step in path[:-1]:
        inner = into.setdefault(step or str(len(into)), {})
        if not isinstance(inner, dict):
            raise Refused(f"Invalid parameter: '{path[0]}' is a value and a hash at once.", param=path[0])
        into = inner
    into[path[-1] or str(len(into))] = value


def _lists(value: Any) -> Any:  # noqa: ANN401  # any JSON value
    """Hashes whose keys are 0, 1, 2 … are lists."""
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(entry) for key, entry in value.items()}
    if inner and all(key.isdigit() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner


class Params:
    """Parameters of one request; each reader marks its name as known, and `done` refuses the rest."""

    def __init__(self, data: dict[str, Any], prefix: str = "") -> None:
        self.data = data
        self.prefix = prefix
        self.known: set[str] = {"expand"} if not prefix else set()
        self.children: list[Params] = []

    def name_of(self, name: str) -> str:
        """The name as the form writes it."""
        return f"{self.prefix}[{name}]" if self.prefix else name

    def has(self, name: str) -> bool:
        """Whether the parameter was sent."""
        return name in self.data

    def text(self, name: str, default: str | None = None, *, choices: tuple[str, ...] = ()) -> str | None:
        """A string; empty means unset."""
        self.known.add(name)
        value = self.data.get(name)
        if value is None or value == "":
            return default
        if not isinstance(value, str):
            raise self.wrong(name, "string")
        if choices and value not in choices:
            raise Refused(
                f"Invalid {self.name_of(name)}: must be one of {', '.join(choices)}", param=self.name_of(name)
            )
        return value

    def required(self, name: str) -> str:
        """A string that must be there."""
        value = self.text(name)
        if value is None:
            raise self.absent(name)
        return value

    def whole(self, name: str, default: int | None = None, *, low: int | None = None) -> int | None:
        """An integer."""
        word = self.text(name)
        if word is None:
            return default
        if not re.fullmatch(r"-?\d{1,15}", word):
            raise Refused(f"Invalid integer: {word}", code="parameter_invalid_integer", param=self.name_of(name))
        if low is not None and int(word) < low:
            raise Refused(f"This value must be greater than or equal to {low}.", param=self.name_of(name))
        return int(word)

    def number(self, name: str) -> float | None:
        """A decimal number."""
        word = self.text(name)
        if word is None:
            return None
        if not re.fullmatch(r"-?\d{1,12}(\.\d{1,12})?", word):
            raise Refused(f"Invalid decimal: {word}", param=self.name_of(name))
        return float(word)

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean."""
        word = self.text(name)
        if word is None:
            return default
        if word not in TRUE | FALSE:
            raise Refused(f"Invalid boolean: {word}", param=self.name_of(name))
        return word in TRUE

    def inner(self, name: str) -> "Params":
        """A hash; an absent one reads as empty."""
        self.known.add(name)
        value = self.data.get(name) or {}
        if not isinstance(value, dict):
            raise self.wrong(name, "hash")
        return self._child(value, self.name_of(name))

    def rows(self, name: str) -> "list[Params]":
        """A list of hashes."""
        self.known.add(name)
        value = self.data.get(name) or []
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise self.wrong(name, "array of hashes")
        return [self._child(entry, f"{self.name_of(name)}[{at}]") for at, entry in enumerate(value)]

    def words(self, name: str) -> list[str]:
        """A list of strings."""
        self.known.add(name)
        value = self.data.get(name) or []
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self.wrong(name, "array")
        return list(value)

    def metadata(self, before: dict[str, str] | None = None, name: str = "metadata") -> dict[str, str]:
        """What metadata becomes: given keys are merged, empty values delete, an empty string deletes all."""
        self.known.add(name)
        value = self.data.get(name)
        if value == "":
            return {}
        if value is not None and not isinstance(value, dict):
            raise self.wrong(name, "hash")
        merged = {**(before or {}), **(value or {})}
        merged = {key: word for key, word in merged.items() if word != ""}
        if len(merged) > METADATA_KEYS or any(
            len(key) > METADATA_KEY or not isinstance(word, str) or len(word) > METADATA_VALUE
            for key, word in merged.items()
        ):
            raise Refused("Metadata has at most 50 keys of 40 characters with values of 500.", param=self.name_of(name))
        return merged

    def moment(self, name: str) -> int | None:
        """Seconds since 1970."""
        return self.whole(name, low=0)

    def ignore(self, *names: str) -> None:
        """Parameters that are taken and change nothing here; docs/sandbox.md names them."""
        self.known.update(names)

    def done(self) -> None:
        """Refuse what nobody read.

        Raises:
            Refused: `parameter_unknown`, as Stripe answers.
        """
        for name in self.data:
            if name not in self.known:
                written = self.name_of(name)
                raise Refused(f"Received unknown parameter: {written}", code="parameter_unknown", param=written)
        for child in self.children:
            child.done()

    def absent(self, name: str) -> Refused:
        """The error of a parameter that must be there."""
        written = self.name_of(name)
        return Refused(f"Missing required param: {written}.", code="parameter_missing", param=written)

    def wrong(self, name: str, wanted: str) -> Refused:
        """The error of a parameter of another kind."""
        return Refused(f"Invalid {wanted}", param=self.name_of(name))

    def _child(self, data: dict[str, Any], prefix: str) -> "Params":
        child = Params(data, prefix)
        self.children.append(child)
        return child

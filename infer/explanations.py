"""Errors of Hydra, OmegaConf and YAML as one line: what was given, what is allowed, and what to type."""

import difflib
import re
from dataclasses import fields, is_dataclass

from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

from infer.cluster import optional_packages
from infer.config import Config
from infer.config.presets import OF_WHOLE_CONFIG, conf_folder, several_choices
from infer.words import hydra_quoted, launch_command, shell_line, visible

FOREIGN = (HydraException, OmegaConfBaseException, YAMLError)
"""Errors that ``explain`` translates."""
_SEE_ALL = "All settings and choices: python launch.py --help"
_IN_FILE = re.compile(r"In '([^']+)': ConfigKeyError raised while composing config:\s+Key '([^']+)' not in")


def explain(error: Exception) -> str:
    """``error``, one of ``FOREIGN``, as one line."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        return _grammar(error.override, text)
    if isinstance(error, YAMLError):
        return _yaml(error)
    if found := re.search(r"resolving interpolation '\w+_\$\{(\w+)\}'|In 'schema/(\w+)/\w+': V.*\s+Merge error", text):
        return several_choices(found[1] or found[2])
    if found := _IN_FILE.search(text):
        return _unknown_key_in_file(found[1], found[2], error)
    if found := re.search(
        rf"In '((?:{'|'.join(OF_WHOLE_CONFIG)})/.+)': Could not (?:find|override) '\w+/([^/@']+)[/@'](\S*)'", text
    ):
        return _relative_group(f"{found[1]}.yaml", found[2], found[3])
    if found := re.search(r"Could not override '([^']+)'", text):
        return _unknown_key(found[1], error)
    if found := re.search(r"Could not find '(.+)'\s+Available options in '([^']+)':\s+((?:\t\S+\n?)+)", text):
        return _no_option(found[2], found[1].removeprefix(f"{found[2]}/"), found[3].split(), text)
    if found := re.search(r"You must specify '(\w+)'.*\s+Available options:\s+((?:\t\S+\n?)+)", text):
        return _missing_option(found[1], found[2].split())
    if found := re.search(r"Ambiguous value for argument '(.+)'\n", text):
        return _several_values(found[1])
    if found := re.search(r"(config directory .+ not found|Cannot find primary config '[^']+')", text):
        return f"{found[1]}: give --config-dir <folder of presets>, and --config-name <a file of it, without .yaml>"
    if error.__cause__ is not None:
        text += f"\n{error.__cause__}"
    if found := re.search(r"Error merging override (.+?)\n.*str is not a ListConfig", text, re.DOTALL):
        return _wants_list(found[1])
    return _in_short(text)


def _in_short(text: str) -> str:
    """Message for another error of Hydra or OmegaConf: the reason, with the setting and the file if they are known."""
    key = re.search(r"full_key: (\S+)", text)
    file = re.search(r"In '([^']+)': \w+ raised while composing config:\s+", text)
    lines = [line.strip() for line in text.replace(file[0] if file else "", "").splitlines() if line.strip()]
    kept = [
        line for line in lines if not re.match(r"(full_key|object_type|reference_type|See https|.*provider=)", line)
    ]
    message = "; ".join(kept).replace("Error merging override ", "").replace("; Config search path:", "").rstrip(".")
    where = f"{file[1]}.yaml: " if file else ""
    if key and "Error merging override" not in text:  # that message contains the typed word, and so the setting
        where += f"{key[1]}: "
    return f"{where}{message}. {_remedy(text, key[1] if key else '<key>')}"


def _remedy(text: str, key: str) -> str:
    """Advice on what to type, as specific as the error allows."""
    if found := re.search(r"Value '([-\d.]+)' of type 'float' could not be converted to Integer", text):
        if (number := float(found[1])).is_integer():
            return f"Type {key}={int(number)}"
    if found := re.search(r"Interpolation key '(\w+)' not found|Environment variable '(\w+)' not found", text):
        name = found[1] or found[2]
        return (
            f"${{key}} is the value of another setting; an environment variable is ${{oc.env:{name}}}, once it is set"
        )
    if found := re.search(r"str is not a subclass of \w+Config\. value: (\S+)", text):
        group = next((path.parent.name for path in conf_folder().glob(f"*/{found[1]}.yaml")), "<group>")
        return f"In a file a preset is chosen in the list of defaults: {_choice_in_file(group, found[1])}"
    if "Cannot merge DictConfig with ListConfig" in text:
        return "A file of settings has lines key: value, without a dash before them"
    return _SEE_ALL


def _choice_in_file(group: str, option: str) -> str:
    return f"'defaults: [{{override /{group}: {option or '<choice>'}}}]'"


def _relative_group(file: str, group: str, option: str) -> str:
    """Message for a group that Hydra searches below the folder of ``file``, since it does not begin with a slash."""
    wanted = "" if "@" in option or option == group else option
    return f"{file}: a group begins with a slash there. Write {_choice_in_file(group, wanted)}"


def _grammar(word: str, reason: str) -> str:
    """Message for a word that Hydra cannot parse, since Hydra's own message does not help."""
    key, equals, value = word.partition("=")
    if word[:1] in "\u2013\u2014" and word:
        return f"{visible(word)} begins with a long dash, as some editors make of two short ones. Type -{word[1:]}"
    if equals and key.strip() and (key, value) != (key.strip(), value.lstrip()):
        return f"{visible(word)} has spaces around its =. Type {shell_line([f'{key.strip()}={value.strip()}'])}"
    if found := re.fullmatch(r"([\w./]+): ?([^:=]+)", word):
        return f"{visible(word)} is not key=value. Type {shell_line([f'{found[1]}={found[2]}'])}"
    if not word.strip():
        return "an empty word was given, perhaps from a variable that is not set. Leave it out"
    if not key or not equals:
        return f"{visible(word)!r} is not key=value. Type {key or '<key>'}=<value>. {_SEE_ALL}"
    opening = value[:1]
    closing = {"[": "]", "{": "}", "'": "'", '"': '"', "(": ")"}.get(opening)
    if closing and not value.endswith(closing):
        whole = shell_line([f"{key}={value} ..."])
        return (
            f"{visible(word)} has no closing {closing}: a shell splits words at spaces, and {{a,b}} into two words. "
            f"Put quotes around all of it, with the rest of the value in place of the dots: {whole}"
        )
    if closing in ("]", "}"):
        example = shell_line([f"{key}=['a b','c(d']"])
        return (
            f"{visible(word)} cannot be read as a list or a dictionary. Separate entries by commas, and put quotes "
            f"around those that hold other characters than letters, digits and ./:-_, e.g. {example}"
        )
    return (
        f"{visible(word)} holds characters that Hydra wants quoted. Type {shell_line([f'{key}={hydra_quoted(value)}'])}"
    )


def _yaml(error: YAMLError) -> str:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    if mark is None:
        return f"a YAML file cannot be read: {' '.join(str(error).split())}"
    problem = getattr(error, "problem", None) or "it is not YAML"
    return f"{mark.name}, line {mark.line + 1}, column {mark.column + 1} is not YAML: {problem}. Correct the file"


def _unknown_key_in_file(file: str, key: str, error: Exception) -> str:
    group = file.partition("/")[0]
    settings = {"hydra", *(field.name for field in fields(Config))}
    if group in OF_WHOLE_CONFIG and (key in (group, "global") or (group == "sweep" and key in settings)):
        return _no_package(f"{file}.yaml")
    whole_key = re.search(r"full_key: (\S+)", f"{error}\n{error.__cause__}")
    return f"{file}.yaml: {_unknown_key(whole_key[1] if whole_key else key, error)}"


def _no_package(file: str) -> str:
    return (
        f"{file} sets keys of its own group instead of the whole config's. Write this as its first line: "
        "# @package _global_"
    )


def _unknown_key(key: str, error: Exception) -> str:
    if found := re.search(rf"@({'|'.join(OF_WHOLE_CONFIG)})\.", key):
        file = re.search(rf"In '({found[1]}/[^']+)'", str(error))
        return _no_package(f"{file[1]}.yaml" if file else f"the file of {found[1]}=")
    owner = getattr(error.__cause__, "object_type", None) or (Config if "." not in key else None)
    if owner is dict:
        return f"{key} is not set yet. Type +{key}=<value>"
    group, _, name = key.rpartition(".")
    allowed = sorted(field.name for field in fields(owner)) if is_dataclass(owner) else []
    message = f"{key} is not a setting"
    if allowed:
        message += f"; {group or 'the top level'} has {', '.join(allowed)}"
    if group == "method" and (methods := _methods_with(name)):
        return f"{message}. It is one of method={', method='.join(methods)}: leave it out, or choose that method"
    nearest = difflib.get_close_matches(name, allowed, n=1)
    prefix = f"{group}." if group else ""
    return f"{message}. " + (f"Type {prefix}{nearest[0]}=<value>" if nearest else "See python launch.py --help")


def _methods_with(setting: str) -> list[str]:
    """Names of the methods that have the ``setting``."""
    store, folder = ConfigStore.instance(), "schema/method"
    schemas = {file: OmegaConf.get_type(store.load(f"{folder}/{file}").node) for file in store.list(folder)}
    return [file.removesuffix(".yaml") for file, schema in schemas.items() if hasattr(schema, setting)]


def _no_option(group: str, name: str, options: list[str], text: str) -> str:
    if name in optional_packages.EXTRA_OF_LAUNCHER:
        return optional_packages.missing(optional_packages.EXTRA_OF_LAUNCHER[name])
    if group == "method/settings" and (of_method := re.search(r"In 'method/([^']+)'", text)):
        return _no_settings(of_method[1], name, options)
    nearest = difflib.get_close_matches(name, options, n=3)
    typed = f". Type {' or '.join(f'{group}={near}' for near in nearest)}" if nearest else ""
    return f"{group}={name} is not a choice; there are {', '.join(options)}{typed}"


def _missing_option(group: str, options: list[str]) -> str:
    return f"{group} must be given; there are {', '.join(options)}. Type {group}={options[0]}"


def _several_values(word: str) -> str:
    key, _, values = word.partition("=")
    return (
        f"{word} has several values. To sweep over them, type {launch_command(['-m', word])}; where one list is meant, "
        f"{shell_line([f'{key}=[{values}]'])}"
    )


def _wants_list(word: str) -> str:
    key, _, value = word.partition("=")
    return f"{word} is not possible: {key} is a list. Type {shell_line([f'{key}=[{value}]'])}"


def _no_settings(method: str, option: str, options: list[str]) -> str:
    """Message for a method without settings for the run's family of data sets; options are ``<method>_<family>``."""
    own = f"{method}_"
    families = [each.removeprefix(own) for each in options if each.startswith(own)]
    return (
        f"method={method} has no settings for family={option.removeprefix(own)}, only for {', '.join(families)}. "
        f"Type family={families[0]}, or write a file method/settings/{option}.yaml"
    )

"""The real parsers of `vllm serve` and `vllm bench serve`: their options, and what they make of a command line.

The program's own parser, built as `vllm/entrypoints/cli/main.py::main` builds it. Nothing is replaced but the exit: an
error is raised with its text, and `_get_values` of argparse also notes which words an option was given.
"""

import importlib.util
import json
import logging
import math
import re
import sys
import types
import warnings

# Half of the subcommands are only there if the program's own command line names them.
sys.argv = ["vllm", "bench"]
# 0.33.0 laid over the environment of 0.32.0 lacks this; no parser needs it.
if importlib.util.find_spec("orjson") is None:
    sys.modules["orjson"] = types.ModuleType("orjson")

import vllm
import vllm.entrypoints.cli.benchmark.main
import vllm.entrypoints.cli.serve
from vllm.utils.argparse_utils import FlexibleArgumentParser

# Deprecated flags, and flags that are given twice.
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")
VERSION = vllm.__version__.split("+")[0]
PROGRAMS = {"serve": ["serve"], "bench serve": ["bench", "serve"]}
# By the name of the function that reads a value.
KINDS = {
    "None": "text", "str": "text", "int": "integer", "float": "number", "loads": "json",
    "parse_type.<locals>._parse_type": "json", "human_readable_int": "human integer",
    "human_readable_int_or_auto": "human integer or auto", "union_dict_and_str": "object or text",
    "_compute_kwargs.<locals>.parse_dataclass": "object", "add_dataset_parser.<locals>.<lambda>": "text",
    "EngineArgs.add_cli_args.<locals>.<lambda>": "choice in any case", "parse_reasoning_parser": "text",
    "add_random_multimodal_dataset_args.<locals>._parse_mm_bucket_config": "bucket config",
}


class Refused(Exception):
    """What the parser says instead of ending the program."""


def refuse(self, message):
    raise Refused(message)


FlexibleArgumentParser.error = refuse
given_words = {}
get_values = FlexibleArgumentParser._get_values


def noting_get_values(self, action, words):
    if action.option_strings:
        given_words.setdefault(action.dest, []).append((action, list(words)))
    return get_values(self, action, words)


FlexibleArgumentParser._get_values = noting_get_values


def build():
    parser = FlexibleArgumentParser(description="vLLM CLI")
    parser.add_argument("-v", "--version", action="version", version=vllm.__version__)
    subparsers = parser.add_subparsers(required=False, dest="subparser")
    for module in (vllm.entrypoints.cli.serve, vllm.entrypoints.cli.benchmark.main):
        for command in module.cmd_init():
            command.subparser_init(subparsers)
    return parser


PARSER = build()


def parser_of(program):
    parser = PARSER
    for name in PROGRAMS[program]:
        parser = next(a.choices[name] for a in parser._actions if isinstance(a.choices, dict) and name in a.choices)
    return parser


def kind_of(action):
    """How a value is read, and whether `None` or nothing stands for none."""
    name = getattr(action.type, "__qualname__", str(action.type))
    if name != "optional_type.<locals>._optional_type":
        kind = KINDS[name]
        return ("text" if kind == "choice in any case" and not action.choices else kind), False
    inner = action.type.__closure__[0].cell_contents
    return KINDS[inner.__qualname__], True


def as_text(value):
    """A default as a command line would have it; nothing where it is none or not a single plain value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    value = getattr(value, "value", value)
    if value in ({}, []):
        return json.dumps(value)
    return str(value) if isinstance(value, (int, float, str)) and value not in ("==SUPPRESS==", "") else None


def options(program):
    """Every option of a program, with all its names, those that help does not show included."""
    parser = parser_of(program)
    rows = {}
    for name, action in parser._option_string_actions.items():
        if "--help" not in action.option_strings:
            rows.setdefault(id(action), (action, []))[1].append(name)
    found = []
    for action, names in rows.values():
        row = {"names": names}
        if action.nargs == 0:
            row["takes"] = "nothing"
            row["off"] = [name for name in names if not turned_on(action, name)]
        else:
            row["takes"] = {None: "one", "?": "one or nothing", "+": "several", "*": "any"}[action.nargs]
            row["kind"], row["or_none"] = kind_of(action)
            if action.choices:
                choices = sorted(action.choices, key=str)
                row["choices"] = [str(choice) for choice in choices if choice is not None]
        if type(action).__name__ == "_AppendAction":
            row["repeats"] = True
        if action.dest != "request_id_prefix":  # drawn at random
            row["default"] = as_text(action.default)
        found.append({key: value for key, value in row.items() if value not in (None, False, [])})
    return found


def turned_on(action, name):
    class Namespace:
        pass

    namespace = Namespace()
    action(PARSER, namespace, [], name)
    return getattr(namespace, action.dest)


def plain(value):
    """A value as JSON has it; infinite ones as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    return value


def taken(program, words):
    """What the parser takes from a line, by each option's first name; its error if it refuses."""
    given_words.clear()
    try:
        namespace = PARSER.parse_args([*PROGRAMS[program], *words])
    except Refused as refused:
        return re.sub(r" at 0x[0-9a-f]+| \(choose from .*", "", str(refused).split("\n")[0])
    except SystemExit:
        return "help"
    except Exception as error:  # some lines end vLLM's parser with a traceback
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    found = {}
    if program == "serve" and namespace.model_tag is not None:
        found["model"] = namespace.model_tag
    for dest, occurrences in given_words.items():
        action, last = occurrences[-1]
        if not hasattr(namespace, dest) or "--help" in action.option_strings:
            continue
        name = next(name for name in action.option_strings if name.startswith("--"))
        value = getattr(namespace, dest)
        if action.nargs != 0 and kind_of(action)[0] in ("object", "bucket config") or type(action).__name__ == "LoRAParserAction":
            value = " ".join(last)
        found[name] = plain(value)
    return json.loads(json.dumps(found, default=str))

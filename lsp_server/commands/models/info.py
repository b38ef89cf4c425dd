"""`redraft models info`: what a model is; of another family's, what it needs, without loading it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsp_server.commands.engine import add_engine_arguments, load
from lsp_server.commands.models.words import asked_how, attention_of, in_count
from model.families.sizes import in_size

if TYPE_CHECKING:
    from model.shelf import Choice


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", default="", help="a model's name or folder, as --model")
    add_engine_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    from model.loading import is_converted, is_foreign
    from model.shelf import choose

    arguments.model = arguments.name or arguments.model
    choice = choose(arguments.model)
    if not arguments.engine and (is_foreign(choice.folder) or is_converted(choice.folder)):
        return _say_guest(choice, arguments)
    return _say_own(choice, arguments)


def _say_own(choice: Choice, arguments: argparse.Namespace) -> int:
    from model.checkpoint import open_checkpoint
    from model.shelf import name_of

    description = load(arguments).description
    folder = choice.folder
    files = {str(f.relative_to(folder)): f.stat().st_size for f in sorted(folder.rglob("*")) if f.is_file()}
    known = open_checkpoint(folder).decoding.instructions if folder.is_dir() else ()
    refactorings = [each.phrasings[0] for each in known]
    if arguments.json:
        found = {
            "description": description,
            "folder": str(folder),
            "name": name_of(folder),
            "inUse": _is_in_use(choice),
            "why": choice.lost or choice.why,
            "files": files,
            "refactorings": refactorings,
        }
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    sys.stdout.write(description + "\n")
    sys.stdout.writelines(f"  {size / 2**20:8.2f} MiB  {name}\n" for name, size in files.items())
    if refactorings:
        sys.stdout.write("  refactorings, each in other words too:\n")
        sys.stdout.writelines(f"    {each}\n" for each in refactorings)
    sys.stdout.write(f"  {name_of(folder)} is {_use(choice)}\n")
    return 0


def _say_guest(choice: Choice, arguments: argparse.Namespace) -> int:
    from model.shelf import name_of

    facts = facts_of(choice.folder, arguments.device)
    if arguments.json:
        found = {"folder": str(choice.folder), "name": name_of(choice.folder), "inUse": _is_in_use(choice)}
        found |= {"why": choice.why, **facts}
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    memory = facts["memory"]
    lines = {
        "family": facts["family"],
        "size": f"{in_size(facts['bytes'])}, {in_count(facts['parameters'])} parameters, {facts['weights']} weights",
        "context": f"{facts['context']} tokens",
        "attention": facts["attention"] + (", rows say what stands behind them" if facts["shifted"] else ""),
        "mask, end": ", ".join(f"{each['name']} ({each['id']})" for each in facts["ids"].values()),
        "asked": facts["asked"],
        "decodes": facts["decodes"],
        "memory": ", ".join(f"{kind} {in_size(count)}" for kind, count in memory["weights"].items())
        + f", and {in_size(memory['cache'])} for what it has read",
        "free": f"{in_size(memory['free'])} on {memory['device']}",
    }
    sys.stdout.write(f"{choice.folder}\n")
    sys.stdout.writelines(f"  {name:<10} {line}\n" for name, line in lines.items())
    sys.stdout.write(f"  {name_of(choice.folder)} is {_use(choice)}\n")
    return 0


def _is_in_use(choice: Choice) -> bool:
    """Whether it is what the command line and the server use where nothing is named."""
    from model.shelf import choose

    return choose().folder == choice.folder


def _use(choice: Choice) -> str:
    from model.shelf import choose, name_of

    if (chosen := choose()).folder == choice.folder:
        return f"in use: {chosen.why}"
    return f"not in use; choose it: redraft models use {name_of(choice.folder)}"


def facts_of(folder: Path, device: str) -> dict[str, Any]:
    """What another family's folder says of itself. Raises ModelError where it cannot be read."""
    from model.families.converted import open_guest
    from model.families.prompts import asking_for
    from model.families.sizes import KINDS, cache_bytes, weight_bytes
    from model.families.ways import published
    from model.shelf import size_of
    from model.tokenizer import FIRST_TEXT_ID

    opened, identity = open_guest(folder)
    config = opened.config
    names = {id_: name for name, id_ in identity.specials.items()}
    asking = asking_for(identity, opened.tokenizer(), config.clean_block == 0)
    chosen, free = _free(device)
    kinds = KINDS if identity.kind == "plain" else (identity.kind,)
    return {
        "family": identity.title,
        "bytes": size_of(folder),
        "parameters": config.parameters,
        "weights": {"plain": "unquantised"}.get(identity.kind, identity.kind),
        "context": config.context,
        "attention": attention_of(config),
        "shifted": config.shifted,
        "ids": {
            role: {"id": id_ - FIRST_TEXT_ID, "name": names.get(id_, "a row without a name")}
            for role, id_ in (("mask", identity.mask), ("eos", identity.eos))
        },
        "asked": asked_how(asking),
        "decodes": published(identity.decoding),
        "memory": {
            "weights": {{"plain": "bf16"}.get(k, k): weight_bytes(config, k) for k in kinds},
            "cache": cache_bytes(config),
            "free": free,
            "device": chosen,
        },
    }


def _free(device: str) -> tuple[str, int]:
    """Where it would run, and what is free there; without PyTorch that is the machine's own memory."""
    try:
        from model.backends.device import choose_device, free_bytes
    except ImportError:
        import psutil

        return "cpu (PyTorch, which runs it, is missing: install redraft[gpu])", int(
            psutil.virtual_memory().available
        )
    chosen = choose_device(device)
    return str(chosen), free_bytes(chosen)

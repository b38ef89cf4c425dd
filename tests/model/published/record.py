"""Runs the published samplers themselves on the script and writes what they decide to `vectors.json`:

    python -m tests.model.published.record CHECKOUTS

CHECKOUTS is a folder of git checkouts: Fast-dLLM (NVlabs), SDAR (JetAstra), dInfer (inclusionAI), CoDA
(SalesforceAIResearch) and DreamOn (DreamLM). The tests compare our decoders with what they said and need none of them.
Sampling is by the best token throughout: the published temperatures draw at random.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

import numpy as np

os.environ["TORCHDYNAMO_DISABLE"] = "1"

import torch

from model.tokenizer import EOS, INS_1, MASK
from tests.model.published.script import CONFIG, STATIC_STEPS, THRESHOLD, VECTORS, Script

CASES = 8


@dataclass
class Case:
    """What a sampler is asked: masks, `limit` of them, in blocks of `block`, between `prompt` and `after`."""

    way: str
    seed: int
    end_bias: float
    prompt: list[int]
    limit: int
    block: int
    after: list[int]

    def script(self, *more: int) -> Script:
        return Script((EOS, 24, 25, 26, 27, 28, 29, *more), self.seed, self.end_bias, spread=0.3)


def module(path: Path, name: str, **stubs: object) -> ModuleType:
    """A file as a module of its own; `stubs` are modules that it imports and does not need here."""
    sys.modules.update({key.replace("__", "."): value for key, value in stubs.items()})  # type: ignore[misc]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found
    spec.loader.exec_module(found)
    return found


class Network:
    """The script as the published samplers call a network. A cache is the ids that it was made of, in the layout that
    the sampler slices."""

    device = torch.device("cpu")

    def __init__(self, script: Script, layout: str = "heads") -> None:
        self.script, self._layout, self._stored = script, layout, list[int]()

    def eval(self) -> None:
        """Nothing to switch."""

    def logits(self, cached: list[int], canvas: list[int], start: int) -> torch.Tensor:
        logits = torch.full((1, len(canvas), CONFIG.vocab), -1e9, dtype=torch.float64)
        logits[0, :, list(self.script.ids)] = torch.from_numpy(self.script.ask(cached, canvas, start))
        return logits

    def __call__(
        self,
        x: torch.Tensor,
        attention_mask: object = None,
        tok_idx: object = None,
        past_key_values: object = None,
        use_cache: bool = False,
        dual_cache: bool = False,
        replace_position: torch.Tensor | None = None,
        store_kv: bool | None = None,
        position_ids: object = None,
    ) -> SimpleNamespace:
        canvas = x[0].tolist()
        if store_kv is not None:  # SDAR keeps whole blocks
            if store_kv:
                self._stored += canvas
                return SimpleNamespace(logits=None)
            return SimpleNamespace(logits=self.logits(self._stored, canvas, len(self._stored)))
        cached = list[int]()
        if past_key_values is not None:
            cached = [int(i) for i in past_key_values[0][0].flatten()]  # type: ignore[index]
            if replace_position is not None:
                cached = [i for i, new in zip(cached, replace_position[0].tolist(), strict=True) if not new]
        start = int(replace_position[0].int().argmax()) if replace_position is not None else len(cached)
        rows = x[:, None, :, None] if self._layout == "heads" else x[:, :, None]
        return SimpleNamespace(
            logits=self.logits(cached, canvas, start), past_key_values=[(rows.clone(), rows.clone())]
        )


def fast_dllm(checkout: Path) -> dict[str, Callable[[Case], tuple[list[int], Script]]]:
    """LLaDA's loops, and Dream's over blocks."""
    llada = module(
        checkout / "llada/generate.py", "llada_generate", model=MagicMock(), model__modeling_llada=MagicMock()
    )
    dream = module(checkout / "dream/model/generation_utils_block.py", "dream_block")

    def of_llada(loop: str, threshold: float | None) -> Callable[[Case], tuple[list[int], Script]]:
        def run(case: Case) -> tuple[list[int], Script]:
            network = Network(case.script())
            prompt = torch.tensor([case.prompt])
            steps = case.limit // case.block * STATIC_STEPS
            x, _ = getattr(llada, loop)(
                network, prompt, steps, case.limit, case.block, mask_id=MASK, threshold=threshold
            )
            return x[0, len(case.prompt) :].tolist(), network.script

        return run

    def of_dream(dual: bool) -> Callable[[Case], tuple[list[int], Script]]:
        class Dream(Network, dream.DreamGenerationMixin):  # type: ignore[misc,name-defined]
            """The published loop around the script."""

        def run(case: Case) -> tuple[list[int], Script]:
            network = Dream(case.script(), "rows")
            wanted = generation(max_length=len(case.prompt) + case.limit, alg="confidence_threshold")
            wanted.steps = case.limit // case.block
            x = network._sample(torch.tensor([case.prompt]), None, wanted, THRESHOLD, case.block, dual)
            return x[0, len(case.prompt) :].tolist(), network.script

        return run

    return {
        "llada, threshold": of_llada("generate", THRESHOLD),
        "llada, fixed": of_llada("generate", None),
        "llada, threshold, prefix": of_llada("generate_with_prefix_cache", THRESHOLD),
        "llada, threshold, dual": of_llada("generate_with_dual_cache", THRESHOLD),
        "dream, threshold, prefix": of_dream(False),
        "dream, threshold, dual": of_dream(True),
    }


def generation(**more: object) -> SimpleNamespace:
    """Dream's settings, all that are at work in its loop."""
    return SimpleNamespace(
        output_history=False,
        return_dict_in_generate=False,
        mask_token_id=MASK,
        temperature=0.0,
        top_p=None,
        top_k=None,
        alg_temp=None,
        eps=1e-3,
        **more,
    )


def sdar(checkout: Path) -> dict[str, Callable[[Case], tuple[list[int], Script]]]:
    generate = module(checkout / "generate.py", "sdar_generate")

    def best(logits: torch.Tensor, **_: object) -> tuple[torch.Tensor, torch.Tensor]:
        p, token = logits.softmax(-1).max(-1)
        return token, p

    generate.sample_with_temperature_topk_topp = best  # type: ignore[attr-defined]

    def by(strategy: str, steps: int) -> Callable[[Case], tuple[list[int], Script]]:
        def run(case: Case) -> tuple[list[int], Script]:
            network = Network(case.script())
            x = generate.block_diffusion_generate(
                network,
                {"input_ids": torch.tensor([case.prompt])},
                MASK,
                case.limit,
                case.block,
                steps or case.block,
                remasking_strategy=strategy,
                confidence_threshold=THRESHOLD,
            )
            return x[0, len(case.prompt) :].tolist()[: case.limit], network.script

        return run

    return {
        "sdar, static": by("low_confidence_static", STATIC_STEPS),
        "sdar, dynamic": by("low_confidence_dynamic", 0),
    }


def dinfer(checkout: Path) -> dict[str, Callable[[Case], tuple[list[int], Script]]]:
    folder = checkout / "python/dinfer/decoding"
    package = ModuleType("dinfer_decoding")
    package.__path__ = [str(folder)]
    sys.modules["dinfer_decoding"] = package
    rules = module(folder / "parallel_strategy.py", "dinfer_decoding.parallel_strategy")

    def one_block(
        case: Case, decide: Callable[[torch.Tensor, torch.Tensor], None]
    ) -> tuple[list[int], Script]:
        network = Network(case.script())
        x = torch.tensor([[MASK] * case.block])
        while (x == MASK).any():
            decide(network.logits(case.prompt, x[0].tolist(), len(case.prompt)), x)
        return x[0].tolist(), network.script

    def hierarchy(case: Case) -> tuple[list[int], Script]:
        def decide(logits: torch.Tensor, x: torch.Tensor) -> None:
            found, chosen = rules.get_transfer_index_hierarchy_fast_v2(
                logits, 0.0, "low_confidence", x == MASK, x, None, MASK, THRESHOLD, 0.3
            )
            x[chosen] = found[chosen]

        return one_block(case, decide)

    def credit(case: Case) -> tuple[list[int], Script]:
        decoder = rules.CreditThresholdParallelDecoder(
            temperature=0, threshold=THRESHOLD, mask_id=MASK, use_float64=True
        )
        return one_block(case, lambda logits, x: decoder.decode(logits, 0, case.block, x))

    return {"dinfer, hierarchy": hierarchy, "dinfer, credit": credit}


def coda(checkout: Path) -> dict[str, Callable[[Case], tuple[list[int], Script]]]:
    utils = module(checkout / "CoDALanguageModel/generation_utils.py", "coda_generation")
    mixin = utils.DLMGenerationMixin

    class Coda(Network, mixin):  # type: ignore[misc,valid-type]
        def __call__(self, x: torch.Tensor, **more: object) -> tuple[torch.Tensor, None]:  # type: ignore[override]
            return super().__call__(x).logits, None

    def by(alg: str, steps: int) -> Callable[[Case], tuple[list[int], Script]]:
        def run(case: Case) -> tuple[list[int], Script]:
            network = Coda(case.script())
            wanted = generation(max_length=len(case.prompt) + case.limit, alg=alg, steps=steps)
            x = network._sample(
                torch.tensor([case.prompt]), None, wanted, lambda i, x, _: x, lambda i, x, logits: logits
            )
            return x[0, len(case.prompt) :].tolist(), network.script

        return run

    return {
        f"coda, {alg}, {steps}": by(alg, steps)
        for alg in ("entropy", "maskgit_plus", "topk_margin")
        for steps in (5, 12)
    }


def dreamon(checkout: Path) -> dict[str, Callable[[Case], tuple[list[int], Script]]]:
    generator = module(
        checkout / "eval/generator.py", "dreamon_generator", tqdm=MagicMock(), omegaconf=MagicMock()
    )
    [kind] = [
        k
        for k in vars(generator).values()
        if isinstance(k, type) and hasattr(k, "batch_generate_with_expand_as_token")
    ]
    opened = 4

    class Windowed(Network):
        """Asked about a window; what is behind it is not seen."""

        def __call__(self, x: torch.Tensor, mask: torch.Tensor, at: object) -> SimpleNamespace:  # type: ignore[override]
            window = int(mask[0, 0, 0].sum())
            logits = torch.zeros(1, x.shape[1], CONFIG.vocab, dtype=torch.float64)
            logits[:, :window] = self.logits([], x[0, :window].tolist(), 0)
            return SimpleNamespace(logits=logits)

    def run(case: Case) -> tuple[list[int], Script]:
        network = Windowed(case.script(INS_1))
        asked = kind.__new__(kind)
        settings = {
            "model": network,
            "tokenizer": SimpleNamespace(eos_id=EOS),
            "mask_id": MASK,
            "expand_id": INS_1,
            "max_tokens": 256,
            "max_gen_len": case.limit,
            "min_gen_len": opened,
            "expand_budget": case.limit,
            "temperature": 0,
            "alg": "entropy",
            "alg_temp": 0,
            "top_p": None,
            "top_k": None,
            "steps": 256,
            "delete_eos_token": True,
            "pad_eos_to_right": True,
            "show_progress": False,
            "device": "cpu",
        }
        vars(asked).update(settings)
        ids = [*case.prompt, *[MASK] * opened, *case.after]
        x, length = asked.batch_generate_with_expand_as_token(torch.tensor([ids]))
        return x[0, len(case.prompt) : len(case.prompt) + length].tolist(), network.script

    return {"dreamon": run}


def cases(way: str) -> Iterator[Case]:
    """The same for every way but for what its loop asks of lengths."""
    rng = np.random.default_rng([7, *way.encode()])
    for n in range(CASES):
        block = int(rng.choice([4, 6]))
        prompt = [int(i) for i in rng.integers(24, 30, rng.integers(1, 10))]
        after = [int(i) for i in rng.integers(24, 30, 3)] if way == "dreamon" else []
        limit = block * int(rng.integers(1, 4))
        if way == "sdar, static":  # it writes over tokens where a step's share is more than the masks left
            prompt = prompt[: len(prompt) // 2 * 2] or prompt * 2
        if way.startswith("dinfer"):
            limit, prompt = block, (prompt * block)[:block]
        yield Case(way, n, -50.0 if n % 2 else 0.0, prompt, limit, block, after)


def main() -> None:
    folder = Path(sys.argv[1])
    records = list[dict[str, object]]()
    sources = {}
    for name, ways in {
        "Fast-dLLM": fast_dllm,
        "SDAR": sdar,
        "dInfer": dinfer,
        "CoDA": coda,
        "DreamOn": dreamon,
    }.items():
        command = ["git", "-C", str(folder / name), "rev-parse", "HEAD"]
        sources[name] = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        for way, run in ways(folder / name).items():
            for case in cases(way):
                answer, script = run(case)
                calls = [[start, *canvas] for start, canvas in script.calls]
                records.append({**vars(case), "answer": answer, "calls": calls})
            print(f"{name}: {way}")
    lines = ",\n".join(json.dumps(record, separators=(",", ":")) for record in records)
    VECTORS.write_text(f'{{"sources": {json.dumps(sources)},\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()

"""A run of the speed benchmark whose figures are easily computed."""

from dataclasses import replace

from blipvino.machine.record import this_machine
from blipvino.measure.race.speed_results import DiskSize, Entrant, Launch, ModelFacts, Peaks, Series, SpeedResults


def machine(machine_class="avx512-vnni", **fields):
    """This one, of another class."""
    quantized = "int7" if machine_class == "avx2" else "int8"
    return replace(this_machine(), machine_class=machine_class, **{"quantized": quantized, "limit": "", **fields})


def results(machine_class="avx512-vnni", **fields):
    """A run whose figures are easily computed: ours takes 1 s for everything, the tutorial 5, transformers 8."""
    seconds = {"transformers-fp32": 8.0, "tutorial-int8": 5.0, "blipvino-int8": 1.0}
    series = [
        Series(work, size, tokens, name, (each * size,) * 3)
        for name, each in seconds.items()
        for work, sizes, tokens in (("caption", (1, 16), 20), ("first answer", (1,), 3), ("further answer", (1,), 3))
        for size in sizes
    ]
    series += [Series("tokens", n, n, "blipvino-int8", (1 + n / 10,)) for n in (1, 5, 20, 40)]
    series += [Series("parts", 1, 1, "blipvino-int8", (1.0,), ({"vision": 0.2, "answer_kv": 0.1, "step": 0.3},))]
    return SpeedResults(
        checkpoint="demo",
        started="2026-01-01T00:00:00",
        options={"rounds": 3},
        machine=machine(machine_class, **fields),
        entrants=(
            *(Entrant(name, name) for name in seconds),
            Entrant("transformers-bf16", "transformers bf16", "left out", "this CPU has no bf16"),
        ),
        series=tuple(series),
        launches=(Launch("blipvino-int8", "caption", "warm", (1.0, 1.1, 3.0), (500_000_000, 560_000_000, 1)),),
        models=(DiskSize("blipvino INT8", 362_000_000),),
        installs=(DiskSize("blipvino", 600_000_000),),
        peaks=Peaks(1e9, {"int8": 5e9, "f32": 1e9}),
        facts=ModelFacts(500_000_000, 25_000_000, {"blipvino-int8": 100_000_000}),
    )


def with_fp16(seconds, *, step, transformers=8.0):
    """An AVX2 run in which blipvino FP16 takes these seconds for everything, beside INT8's 1 s and step of 0.3 s."""
    found = results("avx2")
    series = [
        replace(one, seconds=(transformers * one.size,) * 3) if one.contender == "transformers-fp32" else one
        for one in found.series
    ]
    series += [
        replace(one, contender="blipvino-none", seconds=(seconds * one.size,) * 3)
        for one in found.series
        if one.contender == "blipvino-int8" and one.work in ("caption", "first answer")
    ]
    series += [Series("parts", 1, 1, "blipvino-none", (9.0,), ({"vision": 0.2, "step": step},))]
    weights = {"blipvino-none": 200_000_000, "blipvino-int8": 100_000_000}  # floors of a step: 0.3 and 0.2 s
    entrants = (*found.entrants, Entrant("blipvino-none", "blipvino FP16"))
    return replace(found, series=tuple(series), entrants=entrants, facts=replace(found.facts, step_weights=weights))

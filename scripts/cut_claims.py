"""What an owner's manifest says of its cut, for the second verifier: figures of attacks, and rules that fail.

Of the figures, which are the owner's own claim, only form and shapes can be checked; of the rules, that none
is concealed which the encryption plan shows to fail.
"""

from __future__ import annotations

import math

from primitives import Fields, decode, demand, read_value, well_formed

RULES = {
    "a": "rule (a), a nonlinearity before the cut",
    "b": "rule (b), fewer features than pixels",
}
SHARES = ("frames_by_decoder", "frames_by_best", "copied_error", "correlation", "shuffled_correlation")


def read_plan(data: bytes) -> tuple[list[int], list[int], list[str]]:
    """Shapes of a frame and its features, and the letters of rules that fail whatever the weights are."""
    content, _ = read_value(data, 0)
    in_slots = type(content) is dict and content.get("format") == "pvcnn-frame-slots-plan"
    shapes, kinds = (read_frames_in_slots if in_slots else read_single_frames)(data)
    mixing = [at for at, kind in enumerate(kinds) if kind in ("convolution", "linear")]
    behind = kinds[mixing[0] :] if mixing else []
    fails = {
        "a": not {"square", "polynomial"} & set(behind),
        "b": math.prod(shapes[1]) >= math.prod(shapes[0]),
    }
    return shapes[0], shapes[1], [letter for letter in RULES if fails[letter]]


def read_single_frames(data: bytes) -> tuple[list[list[int]], list[str]]:
    """Shapes of a frame and its features, and the layers' kinds."""
    plan = decode(data, "pvcnn-encryption-plan")
    shapes = []
    for name in ("input_layout", "output_layout"):
        sides = [plan[name].get(axis) for axis in ("ciphertexts", "rows", "columns")]
        well_formed(all(type(side) is list for side in sides), f"encryption plan: {name}")
        shapes.append([len(side) for side in sides])
    layers = plan["layers"]
    named = all(type(layer) is dict and type(layer.get("kind")) is str for layer in layers)
    well_formed(named, "encryption plan: layers")
    return shapes, [layer["kind"] for layer in layers]


def read_frames_in_slots(data: bytes) -> tuple[list[list[int]], list[str]]:
    """The same of a plan of batches, whose blocks have convolutions, squares and means."""
    plan = decode(data, "pvcnn-frame-slots-plan")
    shapes = [plan["input_shape"], plan["output_shape"]]
    sides = all(len(shape) == 3 and all(type(n) is int and n > 0 for n in shape) for shape in shapes)
    well_formed(sides, "encryption plan: shapes")
    kinds: list[str] = []
    for block in plan["blocks"]:
        well_formed(type(block) is dict, "encryption plan: blocks")
        bits, squares = block.get("weight_bits"), block.get("squares")
        well_formed(type(bits) is int and type(squares) is bool, "encryption plan: blocks")
        kinds += ["convolution"] if bits else []
        kinds += ["square"] if squares else []
    return shapes, kinds


def read_figures(data: bytes) -> Fields:
    """A leak summary whose figures are in their ranges."""
    well_formed(len(data) <= 1 << 14, "leak figures: too long")
    figures = decode(data, "pvcnn-leak-summary")
    texts = [figures[name] for name in ("cut", "private", "data", "weights_method")]
    shares = [figures[name] for name in SHARES]
    ordered = [(figures["frames_by_decoder"], figures["frames_by_best"])]
    counts = [figures[n] for n in ("training_frames", "budget_milliseconds", "decoder_steps", "candidates")]
    for person in figures["people"]:
        names = {"kind", "count", "by_decoder", "by_best", "chance"}
        well_formed(type(person) is dict and person.keys() == names, "leak figures: people")
        numbers = [person[name] for name in sorted(names - {"kind"})]
        well_formed(all(type(n) is int for n in numbers), "leak figures: people")
        well_formed(type(person["kind"]) is str and person["count"] > 1, "leak figures: people")
        texts.append(person["kind"])
        counts.append(person["count"])
        shares += [person[name] for name in ("by_decoder", "by_best", "chance")]
        ordered.append((person["by_decoder"], person["by_best"]))
    well_formed(len(figures["people"]) <= 1, "leak figures: people")
    well_formed(all(len(text) <= 1024 and text.isprintable() for text in texts), "leak figures: a text")
    well_formed(all(0 < count < 1 << 40 for count in counts), "leak figures: a number")
    well_formed(all(0 <= share <= 1000 for share in shares), "leak figures: a share")
    well_formed(all(decoder <= best for decoder, best in ordered), "leak figures: a decoder beyond the best")
    inside = abs(figures["psnr"]) <= 120_000 and abs(figures["similarity"]) <= 1000
    well_formed(inside, "leak figures: a quality of pictures")
    for name in ("input_shape", "feature_shape"):
        shape = figures[name]
        sizes = all(type(side) is int and 0 < side < 1 << 20 for side in shape)
        well_formed(sizes and 0 < len(shape) < 4 and math.prod(shape) <= 1 << 40, f"leak figures: {name}")
    return figures


def describe_cut(broken: list[str], plan: bytes, leak: bytes | None) -> str:
    """What is said of the cut, by a manifest with these broken rules and the file of leak figures, if any."""
    frame, features, visible = read_plan(plan)
    well_formed(broken == [letter for letter in RULES if letter in broken], "broken rules that are none")
    for letter in visible:
        demand(letter in broken, f"the private part fails {RULES[letter]}, which the manifest conceals")
    fails = " and ".join(RULES[letter] for letter in broken)
    said = f"Leaky cut, which the owner accepted: the private part fails {fails}.\n" if broken else ""
    if leak is None:
        return f"{said}Leak figures: the owner gives none."
    figures = read_figures(leak)
    flat = features[1:] == [1, 1] and figures["feature_shape"] == features[:1]
    same = figures["input_shape"] == frame and (flat or figures["feature_shape"] == features)
    demand(same, "the leak figures are of another cut")
    found = [f"the right frame of {figures['candidates']} for {figures['frames_by_best'] / 10:.1f}%"]
    for person in figures["people"]:
        found.append(f"the right {person['kind']!a} of {person['count']} for {person['by_best'] / 10:.1f}%")
    return f"{said}Leak figures, the owner's own claim: the strongest attack finds {', '.join(found)}."

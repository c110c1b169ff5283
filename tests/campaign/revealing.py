"""The same public part with another last layer."""

from __future__ import annotations

from dataclasses import replace

from pvcnn.program.layers import Argmax, Correct, Logits, Output, Sign
from pvcnn.program.program import Node
from pvcnn.program.public_part import PublicPart
from pvcnn.program.weights import Weights

DECISIONS, LOGITS, CORRECT = "decisions", "logits", "correct"
REVEALS = (DECISIONS, LOGITS, CORRECT)


def revealing(public: PublicPart, reveal: str) -> PublicPart:
    """`public` with the output layer of `reveal`: one of REVEALS, else ValueError.

    The layers before it, their names, the weights and their blinding are the same; program and digest differ.
    """
    program = public.program
    (number,) = program.nodes[-1].inputs
    output: Output
    if reveal == DECISIONS:
        several = max(program.shapes[number]) > 1
        output = Argmax(program.output.name) if several else Sign(program.output.name)
    elif reveal == LOGITS:
        output = Logits(program.output.name)
    elif reveal == CORRECT:
        output = Correct(program.output.name)
    else:
        raise ValueError(f"reveal={reveal!r}: choose one of {', '.join(REVEALS)}")
    changed = replace(program, nodes=(*program.nodes[:-1], Node(output, (number,))))
    weights = public.weights
    return replace(
        public,
        program=changed,
        weights=Weights(changed, weights.weight, weights.bias, weights.blinding),
    )

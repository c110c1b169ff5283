"""What the owner says of its cut, as people read it."""

from __future__ import annotations

from rich.console import Console

from pvcnn.campaign.artefacts.cut_claims import CutClaims


def print_claims(claims: CutClaims, console: Console) -> None:
    """A line for each sentence; warnings stand out."""
    warnings = {*claims.warnings, *(claims.figures.warnings() if claims.figures else ())}
    for sentence in claims.sentences():
        style = "bold yellow" if sentence.strip() in warnings else None
        console.print(f"  {sentence}", style=style, soft_wrap=True, markup=False, highlight=False)

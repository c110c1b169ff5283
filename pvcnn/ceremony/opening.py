"""Opening a ceremony of whichever kind."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from pvcnn.ceremony.circuit_ceremony import CircuitCeremony
from pvcnn.ceremony.description import CircuitDescription
from pvcnn.ceremony.folder import CeremonyFolder
from pvcnn.ceremony.powers_ceremony import PowersCeremony

AnyCeremony: TypeAlias = "PowersCeremony | CircuitCeremony"


def open_ceremony(path: Path) -> AnyCeremony:
    """The ceremony in a folder. Raises CampaignError and DecodeError as `CeremonyFolder.description`."""
    if isinstance(CeremonyFolder(path).description(), CircuitDescription):
        return CircuitCeremony.open(path)
    return PowersCeremony.open(path)

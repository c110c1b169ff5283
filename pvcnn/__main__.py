"""`python -m pvcnn`."""

from pvcnn.cli.main import main

main()

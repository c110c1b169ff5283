"""Frames as they come: from a folder, a video or a camera to proved decisions and aggregates."""

from pvcnn.compute import environment as environment  # settles what Ray reads when it is imported

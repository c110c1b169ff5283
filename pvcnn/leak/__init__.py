"""What the features that the cluster sees give away about frames and about private weights."""

"""Work spread over processes and machines by Ray: proving on the cluster's, evaluating on the owner's."""

from pvcnn.compute.environment import settle

settle()

"""Where a task's files are made: in this process, or on the nodes of a Dask cluster."""

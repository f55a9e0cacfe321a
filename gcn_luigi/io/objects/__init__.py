"""Object stores and web servers: addresses, ranged reads that stay with one version of an object, and a local cache."""

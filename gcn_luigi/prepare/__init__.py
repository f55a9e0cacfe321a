"""The science, as pure functions: they take and return arrays, geometries and tables. They open no files."""

"""The layers of a stack that are computed: label, distance, terrain, and topography as int16."""

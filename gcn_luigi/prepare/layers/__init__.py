"""The layers of a stack that are computed: label, distance, terrain, topography as int16."""

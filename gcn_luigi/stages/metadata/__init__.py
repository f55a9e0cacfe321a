"""Stages that describe a dataset for catalogs and people: Croissant, STAC, the datasheet, the citation."""

"""Libraries that building a dataset needs and reading one does without."""

BUILDING = (
    "luigi",
    "rasterio",
    "matplotlib",
    "geopandas",
    "shapely",
    "pyogrio",
    "pyproj",
    "pydantic",
    "scipy",
    "click",
    "rich",
)

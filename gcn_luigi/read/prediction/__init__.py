"""From a model to a map: predict the classes of a whole raster by overlapping windows."""

from gcn_luigi.read.prediction.card import Model, ModelBand, ModelCard
from gcn_luigi.read.prediction.maps import Prediction, Windows, model_from, predict

__all__ = ["Model", "ModelBand", "ModelCard", "Prediction", "Windows", "model_from", "predict"]

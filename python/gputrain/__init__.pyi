from ._estimators import ConvClassifier as ConvClassifier
from ._estimators import MLPClassifier as MLPClassifier
from ._estimators import MLPRegressor as MLPRegressor
from ._search import RandomSearchCV as RandomSearchCV
from ._search import SearchCV as SearchCV
from ._training import Model as Model
from ._training import Run as Run
from ._training import load as load
from ._training import recipe as recipe
from ._training import train as train
from ._training import verify as verify

__all__: list[str]

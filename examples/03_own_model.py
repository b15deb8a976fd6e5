"""A model of your own: any classifier of river, named in the settings as `module:function`.

The function takes no arguments and returns the classifier, unlearned. Where a model draws luck,
give it a seed: without one no two runs are alike, and Headrace refuses it with a sentence.
"""

from river import compose, forest, linear_model, optim, preprocessing
from river.datasets import synth

import headrace as hr
from headrace.settings import ModelSettings


def build():
    """Numbers scaled, texts one-hot, then logistic regression with a step for few labels."""
    numbers = compose.SelectType(float, int) | preprocessing.StandardScaler()
    texts = compose.SelectType(str) | preprocessing.OneHotEncoder()
    return (numbers + texts) | linear_model.LogisticRegression(optimizer=optim.SGD(0.1))


def events():
    """Loan applications, two of whose features are texts."""
    for features, label in synth.Agrawal(classification_function=8, seed=42).take(4_000):
        elevel, car = f"level {features['elevel']}", f"car {features['car']}"
        yield {**features, "elevel": elevel, "car": car}, label


if __name__ == "__main__":
    # In a settings file this is [model] name = "03_own_model:build"; the folder of the module has
    # to be on Python's path. From a program the model itself may be passed: hr.Engine(build()).
    settings = hr.Settings(model=ModelSettings(name="03_own_model:build"), seed=7)
    engine = hr.Engine(settings=settings)
    report = hr.run(engine, events(), oracle=hr.oracles.Delayed(delay_s=300)).report
    found = report.estimates.accuracy_all
    print(
        f"{report.events.observed_n} events with {report.schema.features_n} features, "
        f"{report.model.learned_n} learned"
    )
    print(f"accuracy {found.accuracy:.2f}, 95 % interval {found.low:.2f} to {found.high:.2f}")

    try:
        hr.Engine(forest.ARFClassifier())
    except hr.BadSettings as fault:
        print(f"refused: {fault}")

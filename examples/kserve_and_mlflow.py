"""Logs that other tools wrote: the settings say where in a record things stand.

One record of these logs holds many events. Nothing has to be converted beforehand: the same [input]
section serves `headrace run`, `headrace pilot` and, as here, a program.
"""

import json

import headrace as hr
from headrace.embedding import Decoder
from headrace.settings import InputSettings

# KServe's v1 protocol, request and response in one record: the predictions go with their instances.
kserve = {
    "id": "7f9c",
    "time": "2024-05-01T12:00:00Z",
    "request": {"instances": [[5.1, 3.5], [6.7, 3.1]]},
    "response": {"predictions": [{"class": "fine", "p": [0.9, 0.1]},
                                 {"class": "fraud", "p": [0.3, 0.7]}]},
}  # fmt: skip
kserve_input = InputSettings(
    at="time",
    batch="kserve-v1",
    batch_path="request",
    feature_names=["amount", "hour"],
    predicted="response.predictions.class",
    probabilities="response.predictions.p",
    classes=["fine", "fraud"],
)

# KServe's v2 protocol: a tensor for each feature, or one for several.
tensors = {
    "id": "80aa",
    "at": 1714564860,
    "inputs": [
        {"name": "amount", "shape": [2], "datatype": "FP64", "data": [12.5, 900.0]},
        {"name": "country", "shape": [2], "datatype": "BYTES", "data": ["CH", "AT"]},
    ],
}
tensors_input = InputSettings(batch="kserve-v2")

# A frame as MLflow's scoring server takes it, logged with the request's id and time.
mlflow = {
    "request_id": "a1",
    "timestamp": 1714564920.5,
    "inputs": {
        "dataframe_split": {
            "columns": ["amount", "country"],
            "data": [[3.0, "CH"], [None, "DE"], [77.0, "CH"]],
        }
    },
}
mlflow_input = InputSettings(id="request_id", at="timestamp", batch="columns", batch_path="inputs")

for name, record, where in (
    ("KServe v1", kserve, kserve_input),
    ("KServe v2", tensors, tensors_input),
    ("MLflow", mlflow, mlflow_input),
):
    decoded = Decoder(where).decode([json.dumps(record).encode()])
    print(f"{name}: {len(decoded.batch)} events, {len(decoded.rejected)} rejected")
    for i in range(len(decoded.batch)):
        event = decoded.batch.row(i)
        served = f", served {event.probabilities}" if event.probabilities else ""
        print(f"  {event.id} at {event.at:.1f}: {event.features}{served}")

# What can't be used is not lost silently: it says why, and the stream goes on.
cut = json.dumps(mlflow).encode()[:60]
rejected = Decoder(mlflow_input).decode([cut]).rejected[0]
print(f"a line cut in two: {rejected.reason} ({rejected.detail})")

# The batch is an input like any other.
engine = hr.Engine(settings=hr.Settings(input=mlflow_input))
engine.feed([Decoder(mlflow_input).decode([json.dumps(mlflow).encode()]).batch])
report = engine.report
print(
    f"the engine has seen {report.events.observed_n} events of {report.schema.features_n} features"
)

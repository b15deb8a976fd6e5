"""A dashboard asked of a Prometheus as Grafana would ask it: variables, panels, markers.

For the checks and for the picture; nothing here judges what comes back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .prometheus import Prometheus

Json = dict[str, Any]
Series = dict[str, Any]
Choices = dict[str, list[str]]

SCRAPE_S = 15.0
STEPS_N = 240
LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True)
class View:
    """A server, and the time in view, seconds since 1970; `scrape_s` is how often it scrapes."""

    server: Prometheus
    start: float
    end: float
    scrape_s: float = SCRAPE_S

    @property
    def step_s(self) -> float:
        """Seconds from one point of a line to the next."""
        return max(self.scrape_s, float(int((self.end - self.start) / STEPS_N)))

    def choices(self, board: Json) -> Choices:
        """The values of its variables, as they come up when the page is opened."""
        found: Choices = {}
        for variable in board["templating"]["list"]:
            if variable["type"] != "query":
                continue
            query = self.filled(variable["query"]["query"], found)
            label = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
            if label:
                values = self.server.values(label[1], label[2], self.start, self.end)
            else:
                values = self._results(query, variable.get("regex", ""))
            found[variable["name"]] = values if variable["multi"] else values[:1]
        return found

    def _results(self, query: str, pattern: str) -> list[str]:
        """What a pattern finds in the rows of `query_result(...)`, as Grafana writes them."""
        values = []
        for row in self.server.at(query.removeprefix("query_result(")[:-1], self.end):
            labels = ",".join(f'{key}="{value}"' for key, value in row["metric"].items())
            found = re.search(pattern.strip("/"), f"{{{labels}}} {row['value'][1]}")
            values += [found[1]] if found else []
        return sorted(values)

    def filled(self, text: str, choices: Choices) -> str:
        """A query with its variables put in."""
        rate_s = max(4 * self.scrape_s, self.step_s + self.scrape_s)
        text = text.replace("$__rate_interval", f"{rate_s:.0f}s")
        text = text.replace("$__range", f"{self.end - self.start:.0f}s")
        for name, values in choices.items():
            some = values[0] if len(values) == 1 else f"({'|'.join(map(re.escape, values))})"
            text = text.replace(f"${name}", some.replace("\\", "\\\\"))
        return text

    def series(self, target: Json, choices: Choices) -> list[Series]:
        """What a query gives: each with its `metric`, `legend` and `points` (time, value)."""
        expr = self.filled(target["expr"], choices)
        if target.get("instant"):
            found = self.server.at(expr, self.end)
            rows = [{**one, "values": [one["value"]]} for one in found]
        else:
            rows = self.server.over(expr, self.start, self.end, self.step_s)
        return [
            {
                "refId": target["refId"],
                "metric": one["metric"],
                "legend": _legend(target, one["metric"]),
                "points": [(float(at), float(value)) for at, value in one["values"]],
            }
            for one in rows
        ]

    def moments(self, marker: Json, choices: Choices) -> list[float]:
        """Where a marker stands, seconds since 1970; each moment once."""
        expr = self.filled(marker["expr"], choices)
        found = self.server.over(expr, self.start, self.end, self.scrape_s)
        return sorted({float(value) / 1_000 for one in found for _, value in one["values"]})


def markers_of(board: Json) -> list[Json]:
    """Its markers, but for the one that Grafana itself puts there."""
    return [marker for marker in board["annotations"]["list"] if not marker["builtIn"]]


def _legend(target: Json, labels: dict[str, str]) -> str:
    return LABEL.sub(lambda found: labels.get(found[1], ""), target["legendFormat"])

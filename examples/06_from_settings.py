"""Everything from a settings file, the way `headrace run` is set up."""

import tomllib
from pathlib import Path

from river import datasets

import headrace as hr
from headrace.settings import parse

settings = hr.load(Path(__file__).with_name("06_settings.toml"))
engine = hr.Engine(settings=settings)
report = hr.run(engine, datasets.Phishing()).report
asking, retraining = report.asking, report.retraining
print(f"stream {report.stream}, strategy {asking.strategy}")
print(
    f"{asking.requests_n} labels asked in {asking.rounds_n} rounds; "
    f"exhausted: {report.budget.is_exhausted}"
)
print(
    f"{retraining.ordered_n} retrainings, {retraining.adopted_n} adopted, {retraining.kept_n} not"
)

# A file with faults is refused with all of them at once, and the nearest name that is known.
broken = Path(__file__).with_name("06_settings.toml").read_text(encoding="utf-8")
broken = broken.replace("cap = 100", "cap = -1").replace("strategy", "stratgy")
try:
    parse(tomllib.loads(broken))
except hr.BadSettings as fault:
    print(fault)

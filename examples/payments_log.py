"""A log of card payments for docs/FIRST-RUN.md, with columns of its own, and who labels them.

python examples/payments_log.py csv > payments.csv
python examples/payments_log.py answers requests.jsonl > answers.jsonl

`answers` plays the colleague who labels: each request gets the truth, half an hour later.
"""

import csv
import json
import math
import random
import sys
from pathlib import Path

START_MS = 1_714_953_600_000  # 2024-05-06T00:00:00Z
BLOCKED_FROM = 0.5


def make_payment(i: int, chance: random.Random) -> tuple[dict[str, object], str]:
    """Return payment i as the model in production logged it, and what it was in truth."""
    amount = round(math.exp(chance.gauss(3.3, 1.0)), 2)
    mcc, country = chance.choice([5411, 5812, 5732, 7995]), chance.choice(["DE", "DE", "FR", "NL"])
    card_days = int(chance.expovariate(1 / 400))
    odds = math.log(amount) - 5.2 + 2.0 * (mcc in (5732, 7995)) - card_days / 150
    score = round(1 / (1 + math.exp(-odds - chance.gauss(0, 0.5))), 3)
    logged = {"payment": f"p{i}", "created_ms": START_MS + 20_000 * i, "amount": amount}
    logged |= {"mcc": mcc, "country": country, "card_days": card_days}
    logged |= {"decision": "block" if score >= BLOCKED_FROM else "approve", "fraud_score": score}
    # The model knows nothing of what goes on in one of the countries.
    is_fraud = chance.random() < 1 / (1 + math.exp(-2 * odds - 2.0 * (country == "NL")))
    return logged, "fraud" if is_fraud else "genuine"


def main(arguments: list[str]) -> None:
    chance = random.Random(7)
    payments = [make_payment(i, chance) for i in range(3_000)]
    if arguments == ["csv"]:
        table = csv.writer(sys.stdout, lineterminator="\n")
        table.writerows([payments[0][0].keys(), *(logged.values() for logged, _ in payments)])
        return
    truths = {logged["payment"]: truth for logged, truth in payments}
    for line in Path(arguments[1]).read_text(encoding="utf-8").splitlines():
        asked = json.loads(line)
        answer = {"request_id": asked["request_id"], "label": truths[asked["event_id"]]}
        print(json.dumps(answer | {"annotator": "mia", "at": asked["at"] + 1_800}))


if __name__ == "__main__":
    main(sys.argv[1:] or ["csv"])

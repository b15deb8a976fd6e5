"""How near is `learn.noise` to the share of labels that are wrong, and how good is its list?

    python bench/label_noise.py

Each stream has 3,000 labels of three classes, each wrong with a known chance, to any wrong
class. The model's probabilities are exact about the truth; they are sharp or blurred. The figures
of docs/ACCURACY.md are this script's.
"""

from __future__ import annotations

import numpy as np

from headrace.learn.noise import LabelNoise
from headrace.messages import LabelSettled


def run(wrong: float, sharpness: float, seed: int) -> tuple[float, ...]:
    """Share right, both estimates; of those listed the share wrong, of the wrong those listed."""
    rng = np.random.default_rng(seed)
    noise, hits_n, wrong_n, right_n = LabelNoise(), 0, 0, 0
    for i in range(3_000):
        powers = np.exp(rng.normal(size=3) * sharpness)
        said = powers / powers.sum()
        is_wrong = rng.random() < wrong
        truth = int(rng.choice(3, p=said))
        right_n += truth == int(said.argmax())
        label = (truth + is_wrong * int(rng.integers(1, 3))) % 3
        before_n = noise.suspicious_n
        noise.learn(settled(i, label), said, label, ["0", "1", "2"])
        wrong_n += is_wrong
        hits_n += is_wrong and noise.suspicious_n > before_n
    low, high = noise.shares or (0.0, 0.0)
    listed = hits_n / max(1, noise.suspicious_n), hits_n / max(1, wrong_n)
    return right_n / 3_000, low, high, *listed


def settled(i: int, label: int) -> LabelSettled:
    return LabelSettled(
        request_id=f"r{i}", event_id=f"e{i}", at=0.0, event_at=0.0, label=str(label), features={},
        prediction={}, reason="arrival", seq=i, answers_n=1, agreement=1.0, propensity=0.1,
    )  # fmt: skip


if __name__ == "__main__":
    print("| labels wrong, % | model right, % | said, % | list: wrong, % | wrong: in the list, % |")
    print("|---|---|---|---|---|")
    for sharpness in (1.0, 3.0, 8.0):
        for wrong in (0.0, 0.05, 0.1, 0.2):
            runs = [run(wrong, sharpness, seed) for seed in range(5)]
            right, low, high, precision, recall = (100.0 * x for x in np.mean(runs, axis=0))
            listed = f"{precision:.0f} | {recall:.0f}" if wrong else "0 | -"
            print(
                f"| {100 * wrong:.0f} | {right:.0f} | {low:.1f} to {high:.1f} | {listed} |",
                flush=True,
            )

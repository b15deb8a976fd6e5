"""An engine in a service that loses nothing when it is killed: docs/EMBEDDING.md explains it."""

import sqlite3
import threading
from pathlib import Path

from msgspec.json import Decoder, decode, encode
from river import datasets

import headrace as hr
from headrace.embedding import SnapshotStore, finish_job
from headrace.settings import BudgetSettings, LabelSettings, QuerySettings

INPUTS = Decoder(hr.Event | hr.Answer | hr.Tick | hr.RetrainFinished)
ENDS = hr.LabelSettled | hr.LabelDisputed | hr.RequestExpired | hr.RequestWithdrawn
TABLES = """CREATE TABLE IF NOT EXISTS inputs (n INTEGER PRIMARY KEY, line BLOB);
CREATE TABLE IF NOT EXISTS questions (id TEXT PRIMARY KEY, wanted INTEGER, line BLOB);
CREATE TABLE IF NOT EXISTS answered (id TEXT, name TEXT, PRIMARY KEY (id, name));"""
OPEN = "SELECT line FROM questions q WHERE wanted > (SELECT count(*) FROM answered WHERE id = q.id)"


class Labelling:
    """An engine, its journal and the open questions, for endpoints and consumers in any thread."""

    def __init__(self, folder, settings):
        self.lock, self.engine = threading.Lock(), hr.Engine(settings=settings)
        self.store = SnapshotStore(folder / "snapshots", stream=settings.stream, kept_n=2)
        self.db = sqlite3.connect(folder / "service.db", check_same_thread=False)
        self.db.executescript(TABLES)
        found = self.store.read_latest(lambda snapshot: self.engine.restore(snapshot.blob))
        self.n = found.seq if found else 0
        for (line,) in self.db.execute("SELECT line FROM inputs WHERE n > ? ORDER BY n", [self.n]):
            self._feed(INPUTS.decode(line))  # What follows is in the other tables already.

    def take(self, messages):
        """Feed messages; they and what follows are written down as one, before anybody sees it."""
        messages = [INPUTS.decode(encode(one)) for one in messages]  # As a restart will read them.
        with self.lock, self.db:
            outputs = [output for one in messages for output in self._take(one)]
            if job := self.engine.open_job:
                outputs += self._take(hr.RetrainFinished(job_id=job.job_id, at=self.engine.now))
        self.engine.check_model()  # Or a model that can learn nothing would go unnoticed.
        return outputs

    def _take(self, message):
        outputs = self._feed(message)
        self.db.execute("INSERT INTO inputs VALUES (?, ?)", (self.n, encode(message)))
        if isinstance(message, hr.Answer) and hr.InputRejected not in map(type, outputs):
            row = message.request_id, message.annotator
            self.db.execute("INSERT OR IGNORE INTO answered VALUES (?, ?)", row)
        for output in outputs:
            one = getattr(output, "record", output)  # `QuestionChanged` has the message inside.
            if isinstance(one, hr.LabelRequested):
                row = one.request_id, one.answers_wanted, encode(one)
                self.db.execute("INSERT INTO questions VALUES (?, ?, ?)", row)
            elif isinstance(one, ENDS):
                self.db.execute("DELETE FROM questions WHERE id = ?", (one.request_id,))
        return outputs

    def _feed(self, message):
        if isinstance(message, hr.RetrainFinished):  # Its number is all that is written down.
            message = finish_job(self.engine.job(message.job_id), message.at)
        self.n += 1
        return self.engine.feed([message])

    def questions(self):
        with self.lock:
            return [decode(line, type=hr.LabelRequested) for (line,) in self.db.execute(OPEN)]

    def save(self):
        with self.lock:
            self.store.write(self.n, self.engine.snapshot(), {})


query, label = QuerySettings(budget=BudgetSettings(share=0.2)), LabelSettings(answers_wanted=2)
settings = hr.Settings(stream="links", seed=7, query=query, label=label)
service, stream = Labelling(Path(), settings), list(datasets.Phishing().take(600))
for i in range(0, 600, 50):
    at = 1_700_000_000.0 + 60.0 * i
    service.take([hr.Event(id=str(j), at=at, features=stream[j][0]) for j in range(i, i + 50)])
    for one in service.questions()[::-1]:  # Late, the newest first, and some of it twice.
        answer = {"request_id": one.request_id, "label": str(stream[int(one.event_id)][1])}
        service.take([hr.Answer(**answer, at=at, annotator=name) for name in ("ann", "bob", "ann")])
    if i == 250:
        service.save()
    if i == 450:  # A kill: another process opens the folder, and nothing is missing.
        killed, service = service.engine.report, Labelling(Path(), settings)
        assert service.engine.report == killed
print(service.engine.report.estimates.accuracy_all)

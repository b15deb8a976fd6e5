"""What the bridge to Label Studio makes of tokens, failures, settings and projects."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from bridges.fake_label_studio import PERSONAL, FakeLabelStudio, Fault
from bridges.studio import Studio, deliveries
from headrace import cli
from headrace.bridges.bridge import Unreachable
from headrace.bridges.label_studio import server as server_module
from headrace.errors import BadSettings
from kafka.certificates import write as write_certificates

# ---------------------------------------------------------------------------- tokens and failures


def test_a_personal_token_buys_access_and_buys_it_again(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text(PERSONAL + "\n")
    monkeypatch.delenv("HEADRACE_LABEL_STUDIO_TOKEN")
    studio.fake.legacy_is_on = False
    studio.settings["token_file"] = str(path)
    studio.restarted().send(deliveries("q1"))
    assert studio.fake.access_n == 1
    studio.fake.access_n = 5  # what was bought is over
    studio.bridge.send(deliveries("q2"))
    assert len(studio.fake.tasks) == 2
    assert studio.fake.access_n == 6
    # A token that was renewed in its file is read again.
    studio.fake.personal_tokens = {"a.new.one"}
    studio.fake.access_n = 9
    path.write_text("a.new.one")
    studio.bridge.send(deliveries("q3"))
    assert len(studio.fake.tasks) == 3
    studio.fake.personal_tokens = set()
    studio.fake.access_n = 20
    with pytest.raises(BadSettings, match="does not accept the token") as caught:
        studio.bridge.send(deliveries("q4"))
    assert "new.one" not in str(caught.value)


def test_without_a_token_it_says_where_one_belongs(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for token in ("", "two words", "caf\u00e9", "a\nb"):
        monkeypatch.setenv("HEADRACE_LABEL_STUDIO_TOKEN", token)
        with pytest.raises(BadSettings, match="set HEADRACE_LABEL_STUDIO_TOKEN, or"):
            studio.restarted()
    studio.settings["token_file"] = str(tmp_path / "none")
    with pytest.raises(BadSettings, match=r"token_file is .*none"):
        studio.restarted()


def test_a_wrong_token_ends_it(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_LABEL_STUDIO_TOKEN", "wrong")
    with pytest.raises(BadSettings, match="does not accept the token for GET"):
        studio.restarted().send(deliveries("q1"))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_busy_server_is_one_to_try_again(studio: Studio, status: int) -> None:
    studio.bridge.send([])
    studio.fake.faults.append(Fault("/api/tasks", status, {"Retry-After": "7"}))
    with pytest.raises(Unreachable, match=f"answers {status} to GET /api/tasks") as caught:
        studio.poll()
    assert caught.value.after_s == 7.0
    studio.fake.faults.append(
        Fault("/api/tasks", status, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})
    )
    with pytest.raises(Unreachable) as caught:
        studio.poll()
    assert caught.value.after_s is None
    assert studio.poll() == []


def test_a_server_that_is_away_or_silent_is_one_to_try_again(studio: Studio) -> None:
    studio.settings["timeout_s"] = 1.0
    studio.restarted().send(deliveries("q1"))
    port = studio.fake.port
    over = threading.Event()
    studio.fake.faults.append(Fault("/api/tasks", before=lambda: over.wait(5)))
    with pytest.raises(Unreachable, match="does not answer: timed out"):
        studio.poll()
    over.set()
    studio.fake.stop()
    with pytest.raises(Unreachable, match="does not answer"):
        studio.poll()
    studio.fake.start(port)
    studio.fake.annotate(studio.fake.task_of("q1"), "ham")
    assert studio.said() == [("q1", "ham", "label-studio:1")]


def test_a_redirect_is_not_followed(studio: Studio) -> None:
    location = {"Location": "https://elsewhere.example.org/"}
    studio.fake.faults.append(Fault("/api/projects/", 301, location))
    with pytest.raises(BadSettings, match="leads on to 'https://elsewhere"):
        studio.bridge.send(deliveries("q1"))


@pytest.mark.parametrize(
    "answer",
    [b"<html>Log in</html>", b"[]", b'{"results": 5}', b'{"results": [{"id": "x"}]}', b"\xff", b""],
)
def test_something_else_than_label_studio_is_said(studio: Studio, answer: bytes) -> None:
    studio.fake.faults.append(Fault("/api/projects/", 200, body=answer))
    with pytest.raises(BadSettings, match="no Label Studio that we know"):
        studio.bridge.send(deliveries("q1"))


@pytest.mark.parametrize("moment", ["yesterday", "2026-13-01T00:00:00Z", "2026-11-29T09:00:00", 5])
def test_times_that_are_none_are_said(studio: Studio, moment: Any) -> None:
    studio.bridge.send(deliveries("q1"))
    studio.fake.tasks[studio.fake.task_of("q1")]["updated_at"] = moment
    with pytest.raises(BadSettings, match="no Label Studio that we know"):
        studio.poll()


def test_an_answer_without_end_is_cut(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "ANSWER_BYTES_MAX", 20)
    studio.fake.faults.append(Fault("/api/projects/", 200, body=b"x" * 21))
    with pytest.raises(BadSettings, match="more than 20 bytes"):
        studio.bridge.send(deliveries("q1"))


def test_a_certificate_has_to_be_vouched_for(tmp_path: Path, studio: Studio) -> None:
    write_certificates(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem")
    secure = FakeLabelStudio()
    secure.start(tls=tls)
    studio.settings["url"] = f"https://127.0.0.1:{secure.port}"
    try:
        with pytest.raises(BadSettings, match=r"not accepted.*ca_file names who may vouch for it"):
            studio.restarted().send(deliveries("q1"))
        studio.settings["ca_file"] = str(tmp_path / "ca.pem")
        studio.restarted().send(deliveries("q1"))
        # Plain HTTP to a port that speaks TLS is no answer, and TLS to one that does not neither.
        studio.settings |= {"url": f"http://127.0.0.1:{secure.port}", "ca_file": ""}
        with pytest.raises(Unreachable):
            studio.restarted().send(deliveries("q2"))
        studio.settings["url"] = f"https://127.0.0.1:{studio.fake.port}"
        with pytest.raises(Unreachable):
            studio.restarted().send(deliveries("q2"))
    finally:
        secure.stop()
    assert len(secure.tasks) == 1
    assert studio.fake.calls == []


# ---------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "http://labels.example.org"}, "is plain HTTP to labels.example.org"),
        ({"url": "ftp://127.0.0.1"}, "must be an address"),
        ({"url": "127.0.0.1:8080"}, "must be an address"),
        ({"url": "http://127.0.0.1:x"}, "url is 'http://127.0.0.1:x'"),
        ({"url": "http://127.0.0.1/?a=1"}, "must be an address"),
        ({"ca_file": "ca.pem"}, "ca_file is set, and url is not https"),
        ({"url": "https://127.0.0.1", "ca_file": "none.pem"}, "ca_file is 'none.pem'"),
        ({"project": "ab"}, "must be a title of 3 to 50 characters"),
        ({"project": "x" * 51}, "must be a title of 3 to 50 characters"),
        ({"classes": ["a", "a"]}, "classes names 'a' twice"),
        ({"classes": ["a\x07"]}, "must be printable"),
        ({"classes": [""]}, "must be printable"),
        ({"images": [" a"]}, "must be printable"),
        ({"choices": ""}, "choices is empty"),
        ({"poll_s": -1.0}, "poll_s is -1.0; must be at least 0 and at most 3600"),
        ({"timeout_s": 0.0}, "timeout_s is 0.0; must be at least 1"),
        ({"answers_wanted": 0}, "answers_wanted is 0"),
        ({"clases": []}, "did you mean classes?"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    studio: Studio, settings: dict[str, Any], words: str
) -> None:
    studio.settings.update(settings)
    with pytest.raises(BadSettings) as caught:
        studio.restarted()
    assert words in str(caught.value)


def test_headrace_check_tells_them_under_the_name_of_the_section(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "headrace.toml"
    path.write_text(
        '[bridges.team]\nkind = "label-studio"\nurl = "http://labels.example.org"\nproject = "ab"\n'
    )
    assert cli.main(["check", str(path)]) == 1
    told = capsys.readouterr().out
    assert "bridges.team.url is plain HTTP to labels.example.org" in told
    assert "bridges.team.project is 'ab'" in told


def test_a_password_in_the_address_is_refused_and_not_repeated(studio: Studio) -> None:
    studio.settings["url"] = "https://ann:geheim@labels.example.org"
    with pytest.raises(BadSettings, match="holds a name or a password") as caught:
        studio.restarted()
    assert "geheim" not in str(caught.value)


def test_plain_http_beyond_this_machine_where_it_is_allowed(studio: Studio) -> None:
    studio.settings |= {"url": "http://labels.invalid", "allow_http": True}
    with pytest.raises(Unreachable, match=r"labels\.invalid does not answer"):
        studio.restarted().send(deliveries("q1"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"project": 99}, "project is 99, and Label Studio has none with this id"),
        ({"project": "Mails", "classes": []}, "there is no project 'Mails'"),
        ({"project": "Mails", "classes": ["$5"]}, "takes a dollar for a variable"),
        ({"project": "Mails", "classes": ["a"], "texts": ["a$b"]}, "takes a dollar for a variable"),
        ({"choices": "sort"}, r"no Choices tag 'sort'; .* one of \['label'\]"),
        ({"choices": "row"}, "no Choices tag 'row'"),
        ({"classes": ["ham", "eggs"]}, r"does not offer \['eggs'\]"),
        ({"project": "Twice"}, "has 2 projects 'Twice': set bridges.label-studio.project to"),
    ],
)
def test_projects_that_do_not_fit_are_refused(
    studio: Studio, settings: dict[str, Any], words: str
) -> None:
    config = (
        '<View><Table name="row" value="$features"/><Choices name="label" toName="row">'
        '<Choice value="ham"/></Choices></View>'
    )
    for title in ("Headrace", "Headrace 2", "Twice", "Twice"):
        studio.fake.make_project(title, config)
    studio.settings["classes"] = []
    studio.settings |= settings
    with pytest.raises(BadSettings, match=words):
        studio.restarted().send(deliveries("q1"))
    assert len(studio.fake.projects) == 4


def test_a_project_is_found_by_its_id(studio: Studio) -> None:
    config = (
        '<View><Table name="row" value="$features"/><Choices name="label" toName="row">'
        '<Choice value="ham"/></Choices></View>'
    )
    project = studio.fake.make_project("Whatever", config)
    studio.settings |= {"project": project["id"], "classes": []}
    studio.restarted().send(deliveries("q1"))
    assert studio.fake.tasks[studio.fake.task_of("q1")]["project"] == project["id"]

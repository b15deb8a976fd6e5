"""Ids of requests that are about another request, and the desk that all of them go to."""

from __future__ import annotations

import hashlib

import xxhash

GOLD_ASKED_MAX = 10
"""At most this many gold questions are asked about one request."""


def opinion_id(request_id: str, opinion_n: int) -> str:
    """The id of the request for opinion 2 or 3 about the label of a request.

    >>> opinion_id("8a04c3416f459c72de7412b5dd1ee580", 2)
    '8a04c3416f459c72de7412b5dd1ee580:2'
    """
    return f"{request_id}:{opinion_n}"


def opinion_ids(request_id: str) -> list[str]:
    """The ids of all requests for opinions that may exist about the label of a request.

    >>> opinion_ids("8a04c3416f459c72")
    ['8a04c3416f459c72:2', '8a04c3416f459c72:3']
    """
    return [opinion_id(request_id, n) for n in (2, 3)]


def further_id(request_id: str, answer_n: int) -> str:
    """The id of the question that asks for answer number `answer_n`, from 2, to a request.

    >>> further_id("8a04c3416f459c72de7412b5dd1ee580", 3)
    '8a04c3416f459c72de7412b5dd1ee580:w3'
    """
    return f"{request_id}:w{answer_n}"


def is_further(request_id: str) -> bool:
    """Whether this is the id of a question that asks for one more answer to a request.

    >>> is_further("8a04c3416f459c72de7412b5dd1ee580:w3")
    True
    """
    return request_id.partition(":")[2].startswith("w")


def base_id(request_id: str) -> str:
    """The id of the request that an opinion or a further answer is about; else the id itself.

    >>> base_id("8a04c3416f459c72de7412b5dd1ee580:2")
    '8a04c3416f459c72de7412b5dd1ee580'
    """
    return request_id.partition(":")[0]


def desk_of(request_id: str, desks_n: int) -> int:
    """The partition of the desk log that everything about this request goes to.

    Opinions about a label go where the label was settled.

    >>> desk_of("8a04c3416f459c72de7412b5dd1ee580", 4)
    1
    """
    base = base_id(request_id).encode("utf-8", "surrogatepass")
    return xxhash.xxh64_intdigest(base) % desks_n


def gold_id(request_id: str, gold_n: int, desks_n: int) -> str:
    """The id of gold question number `gold_n`, from 1, about a request.

    It looks like the id of any request, so that annotators can't tell them apart; and it goes to
    the desk of the request, so that about `desks_n` ids are tried on average.

    >>> gold_id("8a04c3416f459c72de7412b5dd1ee580", 1, 4)
    'c91b47adfb2d5f14598e5602073ab913'
    >>> desk_of(gold_id("8a04c3416f459c72de7412b5dd1ee580", 1, 4), 4)
    1
    """
    desk, tries_n = desk_of(request_id, desks_n), 0
    while True:
        text = f"gold {gold_n} {tries_n} {request_id}".encode("utf-8", "surrogatepass")
        candidate_id = hashlib.blake2b(text, digest_size=16).hexdigest()
        if desk_of(candidate_id, desks_n) == desk:
            return candidate_id
        tries_n += 1


def gold_ids(request_id: str, desks_n: int) -> list[str]:
    """The ids of all gold questions that may exist about a request."""
    return [gold_id(request_id, n, desks_n) for n in range(1, GOLD_ASKED_MAX + 1)]

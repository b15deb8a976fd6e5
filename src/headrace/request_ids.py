"""Ids of requests that are about another request."""

from __future__ import annotations


def opinion_id(request_id: str, opinion_n: int) -> str:
    """The id of the request for the second (2) or third opinion about the label of a request.

    >>> opinion_id("8a04c3416f459c72de7412b5dd1ee580", 2)
    '8a04c3416f459c72de7412b5dd1ee580:2'
    """
    return f"{request_id}:{opinion_n}"


def opinion_ids(request_id: str) -> list[str]:
    """The ids of all requests for opinions that there may be about the label of a request.

    >>> opinion_ids("8a04c3416f459c72")
    ['8a04c3416f459c72:2', '8a04c3416f459c72:3']
    """
    return [opinion_id(request_id, n) for n in (2, 3)]


def further_id(request_id: str, answer_n: int) -> str:
    """The id of the question for the answer with this number, from 2, to a request.

    >>> further_id("8a04c3416f459c72de7412b5dd1ee580", 3)
    '8a04c3416f459c72de7412b5dd1ee580:w3'
    """
    return f"{request_id}:w{answer_n}"


def is_further(request_id: str) -> bool:
    """Whether a question is for one more answer to a request.

    >>> is_further("8a04c3416f459c72de7412b5dd1ee580:w3")
    True
    """
    return request_id.partition(":")[2].startswith("w")


def base_id(request_id: str) -> str:
    """The id of the request that an opinion or one more answer is about; of any other, its own.

    >>> base_id("8a04c3416f459c72de7412b5dd1ee580:2")
    '8a04c3416f459c72de7412b5dd1ee580'
    """
    return request_id.partition(":")[0]

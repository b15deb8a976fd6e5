"""An object of parts is stored as if it were whole."""

from __future__ import annotations

from typing import Any

from headrace.state.stored_parts import Parts, join_parts, same_names, split_parts


class Lamp:
    def __init__(self, watts: list[int]) -> None:
        self.watts = watts
        self.lit_n = 0


PARTS: Parts = {
    "left": (Lamp, same_names("watts") | {"left_n": "lit_n"}),
    "right": (Lamp, same_names("watts") | {"right_n": "lit_n"}),
}


class House:
    def __init__(self) -> None:
        self.watts = [40]
        self.left, self.right = Lamp(self.watts), Lamp(self.watts)

    def __getstate__(self) -> dict[str, Any]:
        return join_parts(self, PARTS)

    def __setstate__(self, state: dict[str, Any]) -> None:
        split_parts(self, PARTS, state, shared=("watts",))


def test_the_fields_of_parts_stand_among_those_of_their_owner():
    house = House()
    house.left.lit_n = 3
    assert house.__getstate__() == {"watts": [40], "left_n": 3, "right_n": 0}


def test_what_was_stored_is_split_again_and_what_is_shared_is_one_thing():
    house = House()
    house.__setstate__({"watts": [60], "left_n": 1, "right_n": 2})
    assert (house.left.lit_n, house.right.lit_n) == (1, 2)
    assert house.left.watts is house.right.watts is house.watts


def test_a_field_of_a_part_alone_is_not_kept_by_the_owner():
    house = House()
    house.__setstate__(house.__getstate__())
    assert sorted(vars(house)) == ["left", "right", "watts"]

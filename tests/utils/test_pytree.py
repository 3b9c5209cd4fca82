"""Trees are taken apart and put together as PyTorch's own module does it."""

from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest
from torch.utils import _pytree as theirs

from jtoolbox.utils import _pytree as ours

Pair = namedtuple("Pair", "first second")
TREES = [
    1,
    None,
    (),
    {"b": 1, "a": (2, None, [3])},
    Pair(1, {"q": deque([1, 2], 3), "z": defaultdict(list, {1: 2})}),
    OrderedDict(x=[1, 2], y=()),
]


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_a_tree_has_pytorchs_leaves_and_nesting_and_comes_back(tree):
    leaves, spec = ours.tree_flatten(tree)
    expected, their_spec = theirs.tree_flatten(tree)
    assert leaves == expected == ours.tree_leaves(tree) == list(ours.tree_iter(tree))
    assert repr(spec) == repr(their_spec)
    assert spec == ours.tree_structure(tree)
    assert (spec.num_leaves, spec.num_nodes) == (their_spec.num_leaves, their_spec.num_nodes)
    back = ours.tree_unflatten([10] * len(leaves), spec)
    assert back == theirs.tree_unflatten([10] * len(leaves), their_spec)
    assert type(back) is type(tree) or not leaves or tree in (1, None)


def test_leaves_of_several_trees_are_mapped_together():
    for p in (ours, theirs):
        assert p.tree_map(lambda a, b: (a, b), {"x": 1, "y": [2]}, {"y": [(3, 4)], "x": 5}) == {
            "x": (1, 5),
            "y": [(2, (3, 4))],
        }
        assert p.tree_map_only(int, lambda x: x + 1, [1, "a"]) == [2, "a"]
        assert p.tree_map_only((int, str), lambda x: x * 2, [1, "a", 0.5]) == [2, "aa", 0.5]
        assert p.tree_map_only(lambda x: x == 1, str, [1, 2]) == ["1", 2]
        assert p.tree_map(str, [(1, 2), 3], is_leaf=lambda x: x == (1, 2)) == ["(1, 2)", "3"]
        seen = []
        tree = [1, "a", (2,)]
        assert p.tree_map_only_(int, seen.append, tree) is tree
        assert seen == [1, 2]
        assert p.tree_all_only(int, lambda x: x > 0, tree)
        assert not p.tree_any(callable, tree)
        assert p.tree_any_only(str, str.isalpha, tree)
        assert p.tree_all(bool, tree)


ERRORS = {
    "arity mismatch; expected 2, but got 1": lambda p: p.tree_map(max, [1, 2], [1]),
    "type mismatch; expected <class 'tuple'>": lambda p: p.tree_map(max, [1, (2,)], [1, 2]),
    "missing key.*'a'.*extra key.*'b'": lambda p: p.tree_map(max, {"a": 1}, {"b": 1}),
    "length 1 but the spec": lambda p: p.tree_unflatten([1], p.tree_structure([1, 2])),
    "instance of PyTreeSpec": lambda p: p.tree_unflatten([1], 3),
    "already registered": lambda p: p.register_pytree_node(tuple, list, list),
}


@pytest.mark.parametrize("words", ERRORS)
def test_what_does_not_fit_raises_as_in_pytorch(words):
    for p in (ours, theirs):
        with pytest.raises((ValueError, TypeError), match=words):
            ERRORS[words](p)


def test_a_registered_class_is_taken_apart():
    class Box:
        def __init__(self, value, label):
            self.value, self.label = value, label

    ours.register_pytree_node(Box, lambda b: ([b.value], b.label), lambda v, label: Box(*v, label))
    box = ours.tree_map(lambda x: x * 3, [Box(2, "two")])[0]
    assert (box.value, box.label) == (6, "two")

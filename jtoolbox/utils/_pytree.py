"""Nested tuples, lists and dicts as a flat list of leaves and a description of their nesting.

PyTorch's private module of this name, which many programs import. Its trees are not JAX's: None is
a leaf, and the keys of a dict keep their order.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

__all__ = [
    *("Context", "FlattenFunc", "LeafSpec", "MappingKey", "NodeDef", "PyTree", "SUPPORTED_NODES"),
    *("SequenceKey", "TreeSpec"),
    *("UnflattenFunc", "is_namedtuple", "is_namedtuple_class", "is_namedtuple_instance"),
    *("register_pytree_node", "tree_all", "tree_all_only", "tree_any", "tree_any_only"),
    *("tree_flatten", "tree_is_leaf", "tree_iter", "tree_leaves", "tree_map", "tree_map_"),
    *("tree_map_only", "tree_map_only_", "tree_structure", "tree_unflatten"),
]

PyTree = Any
Context = Any
FlattenFunc = Callable[[Any], tuple[list, Any]]
UnflattenFunc = Callable[[Iterable, Any], Any]
Test = Callable[[Any], bool] | None


class NodeDef(NamedTuple):
    """A kind of inner node: how to take one apart, and how to put it together."""

    flatten_fn: FlattenFunc
    unflatten_fn: UnflattenFunc


def is_namedtuple_class(cls: type) -> bool:
    """Whether a class was made by `collections.namedtuple` or `typing.NamedTuple`."""
    return isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields")


def is_namedtuple_instance(obj: Any) -> bool:
    """Whether an object is a named tuple."""
    return is_namedtuple_class(type(obj))


def is_namedtuple(obj: Any) -> bool:
    """Whether an object, or a class, is a named tuple's."""
    return is_namedtuple_class(obj if isinstance(obj, type) else type(obj))


class SequenceKey(NamedTuple):
    """The place of a child in a list or tuple."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"


class MappingKey(NamedTuple):
    """The key of a child in a dict."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"


def _dict_flatten(d: dict) -> tuple[list, list]:
    """The values of a dict, and its keys."""
    return list(d.values()), list(d)


def _dict_unflatten(values: Iterable, keys: list) -> dict:
    """The dict of these keys and values."""
    return dict(zip(keys, values, strict=True))


def _dict_flatten_with_keys(d: dict) -> tuple[list, list]:
    """The values of a dict, each with the key of its place, and the keys."""
    return [(MappingKey(key), value) for key, value in d.items()], list(d)


# What PyTorch takes apart; `register_pytree_node` adds classes.
SUPPORTED_NODES: dict[Any, NodeDef] = {
    tuple: NodeDef(lambda t: (list(t), None), lambda values, _: tuple(values)),
    list: NodeDef(lambda t: (list(t), None), lambda values, _: list(values)),
    dict: NodeDef(_dict_flatten, _dict_unflatten),
    OrderedDict: NodeDef(
        _dict_flatten, lambda values, keys: OrderedDict(zip(keys, values, strict=True))
    ),
    defaultdict: NodeDef(
        lambda t: (list(t.values()), [t.default_factory, list(t)]),
        lambda values, known: defaultdict(known[0], zip(known[1], values, strict=True)),
    ),
    deque: NodeDef(
        lambda t: (list(t), t.maxlen), lambda values, maxlen: deque(values, maxlen=maxlen)
    ),
    namedtuple: NodeDef(lambda t: (list(t), type(t)), lambda values, cls: cls(*values)),
}


def register_pytree_node(
    cls: type,
    flatten_fn: FlattenFunc,
    unflatten_fn: UnflattenFunc,
    *,
    serialized_type_name: str | None = None,
    to_dumpable_context: Callable[[Any], Any] | None = None,
    from_dumpable_context: Callable[[Any], Any] | None = None,
    flatten_with_keys_fn: Callable[[Any], Any] | None = None,
) -> None:
    """Makes objects of exactly this class inner nodes.

    `flatten_fn(obj)` gives (children, context), `unflatten_fn(children, context)` the object. The
    settings for files and key paths are accepted. ValueError for a class that is known already.
    """
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    SUPPORTED_NODES[cls] = NodeDef(flatten_fn, unflatten_fn)


_register_pytree_node = register_pytree_node


class TreeSpec:
    """A nesting: the class of its node, what that class needs besides children, and these.

    A leaf has the class None. Two are equal when their nodes and contexts are.
    """

    __slots__ = ("type", "context", "_children", "num_nodes", "num_leaves")

    def __init__(self, type: Any, context: Any, children: list[TreeSpec]):
        self.type = type
        self.context = context
        self._children = children
        self.num_nodes = 1 + sum(c.num_nodes for c in children)
        self.num_leaves = 1 if type is None else sum(c.num_leaves for c in children)

    @property
    def num_children(self) -> int:
        """How many children the top node has."""
        return len(self._children)

    def children(self) -> list[TreeSpec]:
        """The nestings of its children."""
        return list(self._children)

    def child(self, index: int) -> TreeSpec:
        """The nesting of one child."""
        return self._children[index]

    def is_leaf(self) -> bool:
        """Whether this is a single leaf."""
        return self.type is None

    def unflatten(self, leaves: Iterable) -> Any:
        """The tree of this nesting with these leaves; ValueError when their number is another."""
        leaves = list(leaves)
        if len(leaves) != self.num_leaves:
            raise ValueError(
                f"treespec.unflatten(leaves): `leaves` has length {len(leaves)} but the spec "
                f"refers to a pytree that holds {self.num_leaves} items ({self})."
            )
        return self._build(iter(leaves))

    def _build(self, leaves: Iterator) -> Any:
        if self.type is None:
            return next(leaves)
        children = [child._build(leaves) for child in self._children]
        return SUPPORTED_NODES[self.type].unflatten_fn(children, self.context)

    def flatten_up_to(self, tree: Any) -> list:
        """What stands in a tree at the places of the leaves here; ValueError where it differs."""
        found: list = []
        self._match(tree, found)
        return found

    def _match(self, tree: Any, found: list) -> None:
        if self.type is None:
            found.append(tree)
            return
        kind = _kind(tree)
        if kind is not self.type:
            raise ValueError(f"Node type mismatch; expected {self.type}, but got {type(tree)}.")
        children, context = SUPPORTED_NODES[kind].flatten_fn(tree)
        if isinstance(tree, dict):
            children = self._values(tree)
        elif len(children) != self.num_children:
            raise ValueError(
                f"Node arity mismatch; expected {self.num_children}, but got {len(children)}."
            )
        elif kind is not deque and context != self.context:
            raise ValueError(
                f"Node context mismatch for node type {kind}: expected {self.context}, got "
                f"{context}."
            )
        for spec, child in zip(self._children, children, strict=True):
            spec._match(child, found)

    def _values(self, tree: dict) -> list:
        """The values of a dict in this nesting's order of keys."""
        keys = self.context[1] if self.type is defaultdict else self.context
        missing, extra = set(keys) - set(tree), set(tree) - set(keys)
        if missing or extra:
            parts = [f"missing key(s): {missing}"] * bool(missing)
            parts += [f"extra key(s): {extra}"] * bool(extra)
            raise ValueError(f"Node keys mismatch; {'; '.join(parts)}.")
        return [tree[key] for key in keys]

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, TreeSpec):
            return NotImplemented
        mine, theirs = (self.type, self.context), (other.type, other.context)
        return mine == theirs and self._children == other._children

    def __hash__(self) -> int:
        return hash((self.type, str(self.context), tuple(self._children)))

    def __repr__(self) -> str:
        if self.type is None:
            return "*"
        rows = ",\n".join(map(repr, self._children)).replace("\n", "\n  ")
        return f"TreeSpec({self.type.__name__}, {self.context}, [{rows}])"


class LeafSpec(TreeSpec):
    """The nesting of a single leaf."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(None, None, [])


LEAF = LeafSpec()


def _kind(tree: Any) -> Any:
    """The class under which a node is known; None for a leaf."""
    if type(tree) in SUPPORTED_NODES:
        return type(tree)
    return namedtuple if is_namedtuple_instance(tree) else None


def tree_is_leaf(tree: PyTree, is_leaf: Test = None) -> bool:
    """Whether an object is no inner node, or one for which `is_leaf` holds."""
    return bool(is_leaf is not None and is_leaf(tree)) or _kind(tree) is None


_is_leaf = tree_is_leaf


def _get_node_type(tree: Any) -> Any:
    """The class under which a node is known; of a leaf its own class."""
    return _kind(tree) or type(tree)


def _flatten(tree: PyTree, leaves: list, is_leaf: Test) -> TreeSpec:
    if tree_is_leaf(tree, is_leaf):
        leaves.append(tree)
        return LEAF
    kind = _kind(tree)
    children, context = SUPPORTED_NODES[kind].flatten_fn(tree)
    return TreeSpec(kind, context, [_flatten(child, leaves, is_leaf) for child in children])


def tree_flatten(tree: PyTree, is_leaf: Test = None) -> tuple[list, TreeSpec]:
    """The leaves of nested tuples, lists, dicts and named tuples, and their nesting.

    None is a leaf, and so is what `is_leaf` holds for. `tree_unflatten` puts them together again.
    """
    leaves: list = []
    spec = _flatten(tree, leaves, is_leaf)
    return leaves, spec


def tree_unflatten(leaves: Iterable, treespec: TreeSpec) -> PyTree:
    """The tree of a nesting with these leaves."""
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            "Expected `treespec` to be an instance of PyTreeSpec but got item of type "
            f"{type(treespec)}."
        )
    return treespec.unflatten(leaves)


def tree_leaves(tree: PyTree, is_leaf: Test = None) -> list:
    """The leaves of a tree."""
    return tree_flatten(tree, is_leaf)[0]


def tree_iter(tree: PyTree, is_leaf: Test = None) -> Iterator:
    """An iterator over the leaves of a tree."""
    return iter(tree_leaves(tree, is_leaf))


def tree_structure(tree: PyTree, is_leaf: Test = None) -> TreeSpec:
    """The nesting of a tree."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(
    func: Callable[..., Any], tree: PyTree, *rests: PyTree, is_leaf: Test = None
) -> PyTree:
    """The tree of `func(leaf, ...)`, with what stands at its place in the other trees.

    ValueError when another tree is nested in another way.
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    return spec.unflatten(map(func, leaves, *[spec.flatten_up_to(rest) for rest in rests]))


def tree_map_(
    func: Callable[..., Any], tree: PyTree, *rests: PyTree, is_leaf: Test = None
) -> PyTree:
    """Calls `func` as `tree_map` does, for its effects; the tree itself."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def _only(which: Any, func: Callable[[Any], Any], otherwise: Any) -> Callable[[Any], Any]:
    """`func` for leaves of a class, of one of several, or for which a predicate holds."""
    if isinstance(which, tuple) or not callable(which) or isinstance(which, type):
        return lambda leaf: func(leaf) if isinstance(leaf, which) else otherwise(leaf)
    return lambda leaf: func(leaf) if which(leaf) else otherwise(leaf)


def _itself(leaf: Any) -> Any:
    return leaf


def tree_map_only(
    type_or_types_or_pred: Any,
    /,
    func: Callable[[Any], Any],
    tree: PyTree,
    is_leaf: Test = None,
) -> PyTree:
    """`tree_map` on the leaves of these classes, or for which a predicate holds."""
    return tree_map(_only(type_or_types_or_pred, func, _itself), tree, is_leaf=is_leaf)


def tree_map_only_(
    type_or_types_or_pred: Any,
    /,
    func: Callable[[Any], Any],
    tree: PyTree,
    is_leaf: Test = None,
) -> PyTree:
    """`tree_map_` on the leaves of these classes, or for which a predicate holds."""
    return tree_map_(_only(type_or_types_or_pred, func, _itself), tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: PyTree, is_leaf: Test = None) -> bool:
    """Whether a predicate holds for all leaves."""
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: PyTree, is_leaf: Test = None) -> bool:
    """Whether a predicate holds for any leaf."""
    return any(map(pred, tree_leaves(tree, is_leaf)))


def tree_all_only(
    type_or_types: Any, /, pred: Callable[[Any], bool], tree: PyTree, is_leaf: Test = None
) -> bool:
    """Whether a predicate holds for all leaves of these classes."""
    return tree_all(_only(type_or_types, pred, lambda _: True), tree, is_leaf)


def tree_any_only(
    type_or_types: Any, /, pred: Callable[[Any], bool], tree: PyTree, is_leaf: Test = None
) -> bool:
    """Whether a predicate holds for any leaf of these classes."""
    return tree_any(_only(type_or_types, pred, lambda _: False), tree, is_leaf)

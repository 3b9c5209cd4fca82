"""Saving a module's state to a flat dict and loading it back: this part of `Module`."""

from __future__ import annotations

import itertools
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import inplace, no_grad
from jtoolbox.nn.hooks import RemovableHandle, WrappedHook, register
from jtoolbox.nn.parameter import Parameter
from jtoolbox.tensor import Size, Tensor, from_host

__all__ = ["StateDict"]

EXTRA_STATE = "_extra_state"

_NO_EXTRA_STATE = (
    "{name}.{method}() was called, but {name} does not define it: a class that saves extra state "
    "defines both get_extra_state and set_extra_state"
)
_POSITIONAL = "Positional args are being deprecated, use kwargs instead."
_POST_HOOK_RESULT = (
    "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new "
    "values, if incompatible_keys need to be modified, it should be done inplace."
)
_SAME_HOOK = (
    "Cannot register the same function as the state dict post hook that was previously registered "
    "via register_state_dict_post_hook"
)
_NOT_TENSOR = (
    'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from '
    "checkpoint but received {kind}"
)
_WRONG_SHAPE = (
    "size mismatch for {key}: copying a param with shape {got} from checkpoint, "
    "the shape in current model is {want}."
)
_NOTHING_COPIED = (
    "for {key}: copying from a non-meta parameter in the checkpoint to a meta parameter in the "
    "current model, which is a no-op. (Did you mean to pass `assign=True` to assign items in the "
    "state dictionary to their corresponding key in the module instead of copying them in place?)"
)
_FAILED_COPY = (
    'While copying the parameter named "{key}", whose dimensions in the model are {want} and whose '
    "dimensions in the checkpoint are {got}, an exception occurred : {args}."
)


class _Keys(NamedTuple):
    missing_keys: list[str]
    unexpected_keys: list[str]


class _IncompatibleKeys(_Keys):
    """What `load_state_dict` returns: the keys that it missed and those it had no place for."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class _Destination(OrderedDict):
    """A state dict; `_metadata` holds each module's version."""

    _metadata: OrderedDict[str, dict[str, Any]]


class StateDict:
    """The part of `Module` that saves and loads state."""

    _version: int = 1
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    _state_dict_hooks: OrderedDict[int, Callable[..., Any]]
    _state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_post_hooks: OrderedDict[int, Callable[..., Any]]

    def get_extra_state(self) -> Any:
        """What else `state_dict` should hold for this module; override with `set_extra_state`."""
        name = type(self).__name__
        raise RuntimeError(_NO_EXTRA_STATE.format(name=name, method="get_extra_state"))

    def set_extra_state(self, state: Any) -> None:
        """Takes back what `get_extra_state` gave."""
        name = type(self).__name__
        raise RuntimeError(_NO_EXTRA_STATE.format(name=name, method="set_extra_state"))

    def state_dict(
        self,
        *args: Any,
        destination: Any = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """The parameters and persistent buffers by their dotted names, detached.

        With `keep_vars`, the parameters themselves. `prefix` goes before every name. A `_metadata`
        attribute of the result holds the version of each module's layout.
        """
        if args:
            warnings.warn(_POSITIONAL, FutureWarning, stacklevel=2)
            given = dict(zip(("destination", "prefix", "keep_vars"), args, strict=False))
            destination = given["destination"] if destination is None else destination
            prefix = prefix or given.get("prefix", "")
            keep_vars = keep_vars or given.get("keep_vars", False)
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()  # type: ignore[attr-defined]
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(
                    destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
                )
        return self._run_state_dict_hooks(destination, prefix, local_metadata)

    def _run_state_dict_hooks(self, destination: Any, prefix: str, local_metadata: dict) -> Any:
        for hook in self._state_dict_hooks.values():
            result = hook(self, destination, prefix, local_metadata)
            if result is None:
                continue
            if getattr(hook, "_from_public_api", False):
                raise RuntimeError("state_dict post-hook must return None")
            destination = result
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Puts this module's own parameters, buffers and extra state into `destination`."""
        for name, value in self._persistent_state().items():
            destination[prefix + name] = value if keep_vars else value.detach()
        if type(self).get_extra_state is not StateDict.get_extra_state:
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def _persistent_state(self) -> dict[str, Any]:
        skip = self._non_persistent_buffers_set
        buffers = ((k, v) for k, v in self._buffers.items() if k not in skip)
        both = itertools.chain(self._parameters.items(), buffers)
        return {name: value for name, value in both if value is not None}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copies the values of a state dict into the parameters and buffers of the same names.

        Values may be Tensors or arrays of NumPy, JAX or PyTorch. With `assign`, the given tensors
        take the parameters' places, and their dtypes, instead of being copied into them.

        Raises a RuntimeError that lists every value of another shape and, if `strict`, every
        missing and unexpected key; what could be copied has been copied by then.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        metadata = getattr(state_dict, "_metadata", None)
        local = _Destination(state_dict)
        if metadata is not None:
            local._metadata = metadata
        loading = _Loading(metadata or {}, assign)
        loading.load(self, local, "")
        if strict:
            loading.report("Unexpected", loading.keys.unexpected_keys)
            loading.report("Missing", loading.keys.missing_keys)
        if loading.errors:
            lines = "\n\t".join(loading.errors)
            name = type(self).__name__
            raise RuntimeError(f"Error(s) in loading state_dict for {name}:\n\t{lines}")
        return loading.keys

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Loads this module's own state, without its submodules'. Override to read old layouts."""
        for hook in self._load_state_dict_pre_hooks.values():
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
                 error_msgs)  # fmt: skip
        assign = local_metadata.get("assign_to_params_buffers", False)
        local_state = self._persistent_state()
        for name, current in local_state.items():
            key = prefix + name
            if key in state_dict:
                message = self._load_value(name, key, current, state_dict[key], assign)
                if message:
                    error_msgs.append(message)
            elif strict:
                missing_keys.append(key)
        self._load_extra_state(state_dict, prefix, strict, missing_keys, unexpected_keys)
        if strict:
            unexpected_keys += self._unexpected_keys(state_dict, prefix, local_state)

    def _load_value(self, name: str, key: str, current: Any, given: Any, assign: bool) -> str:
        """Copies or assigns one value; returns what was wrong, or an empty string."""
        if not (hasattr(given, "shape") and hasattr(given, "dtype")):
            return _NOT_TENSOR.format(key=key, kind=type(given))
        if len(current.shape) == 0 and tuple(given.shape) == (1,):
            given = given[0]
        shapes = {"got": Size(given.shape), "want": current.shape}
        if shapes["got"] != shapes["want"]:
            return _WRONG_SHAPE.format(key=key, **shapes)
        try:
            if assign:
                setattr(self, name, _in_place_of(current, given))
            elif current.is_meta and not getattr(given, "is_meta", False):
                warnings.warn(_NOTHING_COPIED.format(key=key), stacklevel=2)
            else:
                _copy(current, given)
        except Exception as error:
            return _FAILED_COPY.format(key=key, args=error.args, **shapes)
        return ""

    def _load_extra_state(
        self,
        state_dict: Any,
        prefix: str,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
    ) -> None:
        key = prefix + EXTRA_STATE
        if type(self).set_extra_state is not StateDict.set_extra_state:
            if key in state_dict:
                self.set_extra_state(state_dict[key])
            elif strict:
                missing_keys.append(key)
        elif strict and key in state_dict:
            unexpected_keys.append(key)

    def _unexpected_keys(self, state_dict: Any, prefix: str, local_state: Any) -> list[str]:
        """Keys under the prefix that name neither a submodule nor a value of this module."""
        found = []
        for key in state_dict:
            if not key.startswith(prefix) or key == prefix + EXTRA_STATE:
                continue
            first, *rest = key[len(prefix) :].split(".", 1)
            if first not in (self._modules if rest else local_state):
                found.append(key)
        return found

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, prefix, keep_vars)` before `state_dict` reads the module."""
        return register(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, state_dict, prefix, local_metadata)` after `state_dict`.

        The hook changes `state_dict` in place and returns None.
        """
        hook._from_public_api = True  # type: ignore[attr-defined]
        return register(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Like `register_state_dict_post_hook`, but the hook may return another dict."""
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(_SAME_HOOK)
        return register(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls a hook before this module's own state is loaded.

        `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
        error_msgs)` changes its arguments in place.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        wrapped = WrappedHook(hook, self if with_module else None)
        return register(self._load_state_dict_pre_hooks, wrapped)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, incompatible_keys)` after the module and its submodules are loaded.

        The hook changes the lists of keys in place and returns None.
        """
        return register(self._load_state_dict_post_hooks, hook)


class _Loading:
    """The state of one `load_state_dict`, as it walks down the modules."""

    def __init__(self, metadata: Mapping[str, Any], assign: bool):
        self.metadata = metadata
        self.assign = assign
        self.keys = _IncompatibleKeys([], [])
        self.errors: list[str] = []

    def load(self, module: Any, state_dict: Any, prefix: str) -> None:
        local_metadata = self.metadata.get(prefix[:-1], {})
        if self.assign:
            local_metadata["assign_to_params_buffers"] = True
        module._load_from_state_dict(
            state_dict, prefix, local_metadata, True, *self.keys, self.errors
        )
        for name, child in module._modules.items():
            if child is not None:
                under = f"{prefix}{name}."
                own = {k: v for k, v in state_dict.items() if k.startswith(under)}
                self.load(child, own, under)
        for hook in module._load_state_dict_post_hooks.values():
            if hook(module, self.keys) is not None:
                raise AssertionError(_POST_HOOK_RESULT)

    def report(self, kind: str, keys: list[str]) -> None:
        """Puts a line about such keys before the other errors."""
        if keys:
            names = ", ".join(f'"{k}"' for k in keys)
            self.errors.insert(0, f"{kind} key(s) in state_dict: {names}. ")


def _host_copy(value: Any) -> np.ndarray:
    """A tensor or array of any library as a new NumPy array.

    Always a copy: a checkpoint's memory (a mapped file, say) must never be a parameter's.
    """
    if isinstance(value, Tensor):
        return np.array(value.detach())
    if not hasattr(value, "detach"):
        return np.array(value)
    value = value.detach().cpu()
    if str(value.dtype) == "torch.bfloat16":  # NumPy has no such type: PyTorch cannot convert
        return value.float().numpy().astype(dtypes.bfloat16.dtype)
    return np.array(value.numpy())


def _copy(current: Tensor, given: Any) -> None:
    """Writes a checkpoint's value into a parameter or buffer: on the host, compiling nothing."""
    host = _host_copy(given).astype(dtypes.as_numpy(current.dtype), copy=False)
    with no_grad():
        inplace(current, from_host(host, current.device))


def _in_place_of(current: Tensor, given: Any) -> Tensor:
    """A checkpoint's value as what may replace a parameter or buffer."""
    value = given if isinstance(given, Tensor) else from_host(_host_copy(given))
    if not isinstance(current, Parameter):
        return value
    if isinstance(value, Parameter):
        return value.requires_grad_(current.requires_grad)
    return Parameter(value, current.requires_grad)

"""Parameters of flows: one model a flow, of which the UI's form is made, and which refuses what cannot be.

Conventions
-----------
A model's fields are the flow's parameters: name, type, default, bounds, and what the form says. A flow takes the model
as its one argument in the code, and its fields as parameters from outside: `checked_flow` turns one into the other.
Prefect checks them by the same bounds before a run that a person or a schedule begins; whoever calls the flow in Python
gets a `ParameterError` in one line, in the words of the command line, before a run is made. What this project raises on
purpose says what to do; of a run that a deployment began it is logged without its causes, but at level DEBUG.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Annotated, Any, TypeVar

import annotated_types
from prefect import Flow, get_run_logger
from prefect.runtime import deployment, flow_run
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from gunshot.errors import GunshotError, ParameterError

__all__ = ["LONGEST_S", "FlowParameters", "checked_flow", "field", "named", "run_name"]

LONGEST_S = 7 * 86_400.0
"""A run that takes longer hangs: nothing it waits for has no limit of its own [s]."""

P = TypeVar("P", bound="FlowParameters")


def field(description: str, **about: Any) -> Any:
    """Describe a parameter, and say what it may be.

    Parameters
    ----------
    description : str
        Shown in the form. Prefect reads descriptions from docstrings of another style and drops pydantic's own, but
        leaves what a schema has besides.
    **about
        Of `pydantic.Field`: ``default``, ``ge``, ``le``, ``pattern``.

    Returns
    -------
    pydantic.fields.FieldInfo
        For a field of `FlowParameters`.
    """
    return Field(json_schema_extra={"description": description}, **about)


class FlowParameters(BaseModel):
    """Base of the models of parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    @classmethod
    def checked(cls: type[P], given: dict[str, Any]) -> P:
        """Make the model.

        Parameters
        ----------
        given : dict
            Values by name.

        Returns
        -------
        FlowParameters
            The model.

        Raises
        ------
        ParameterError
            If a value is not what it may be; the first is told.
        """
        try:
            return cls(**given)
        except ValidationError as error:
            raise ParameterError(cls._said(error)) from None

    @classmethod
    def _said(cls, error: ValidationError) -> str:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        if name not in cls.model_fields:
            return first["msg"].removeprefix("Value error, ")
        value = first["input"]
        shown = f"{value:g}" if isinstance(value, float) else value if isinstance(value, int) else repr(value)
        if isinstance(value, (list, tuple)) and not value:
            shown = "none"
        return f"--{name.replace('_', '-')} {_rule(name, cls.model_fields[name], first)}; got {shown}"


def _rule(name: str, about: FieldInfo, error: Any) -> str:
    """What a value must be, from its bounds."""
    unit = " s" if name.endswith("_s") else ""
    bounds = {type(bound): bound for bound in about.metadata}
    low, high = bounds.get(annotated_types.Ge), bounds.get(annotated_types.Le)
    above, below = bounds.get(annotated_types.Gt), bounds.get(annotated_types.Lt)
    if error["type"] not in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        return f"is not right: {error['msg'][:1].lower()}{error['msg'][1:]}"
    if low and high:
        return f"must lie in [{low.ge:g}, {high.le:g}]"
    if low and below:
        return f"must be {low.ge:g}{unit} or more, below {_number(below.lt)}"
    if low:
        return f"must be {low.ge:g}{unit} or more"
    if above:
        return f"must be more than {above.gt:g}{unit}"
    return error["msg"][:1].lower() + error["msg"][1:]


def _number(value: Any) -> str:
    return f"2^{value.bit_length() - 1}" if isinstance(value, int) and value > 1000 else f"{value:g}"


class _CheckedFlow(Flow[..., Any]):
    """A flow whose parameters are checked before a run of it exists."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        model, signature = self.fn.parameters, inspect.signature(self.fn)
        model.checked(signature.bind(*args, **kwargs).arguments)
        return super().__call__(*args, **kwargs)


def checked_flow(**options: Any) -> Callable[[Callable[[Any], Any]], Any]:
    """Make a flow of a function whose one argument is a model of parameters.

    Parameters
    ----------
    **options
        Of `prefect.flow`. Its longest time is `LONGEST_S` unless it is given.

    Returns
    -------
    callable
        Takes the function, whose argument is annotated with its model, and returns the flow; the flow's parameters are
        the model's fields.
    """

    def decorate(function: Callable[[Any], Any]) -> Any:
        (argument,) = inspect.signature(function, eval_str=True).parameters.values()
        model: type[FlowParameters] = argument.annotation
        signature = inspect.Signature(
            [
                inspect.Parameter(
                    name,
                    inspect.Parameter.POSITIONAL_OR_KEYWORD,
                    default=inspect.Parameter.empty if about.is_required() else about.get_default(),
                    annotation=_annotation(about),
                )
                for name, about in model.model_fields.items()
            ]
        )

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return _run(function, model.checked(signature.bind(*args, **kwargs).arguments))

        call.__signature__ = signature
        call.__annotations__ = {name: each.annotation for name, each in signature.parameters.items()}
        call.parameters = model
        del call.__wrapped__  # the flow's parameters are the fields, wherever they are looked up
        return _CheckedFlow(call, **{"timeout_seconds": LONGEST_S, **options})

    return decorate


def _run(function: Callable[[Any], Any], given: FlowParameters) -> Any:
    """Call the flow; for whoever reads its log in the UI, an error of a run that a deployment began is kept short."""
    try:
        return function(given)
    except GunshotError as error:
        if deployment.id is None:
            raise
        get_run_logger().debug("where the error comes from", exc_info=True)
        # its message says what to do; Prefect logs it twice with tracebacks, and those of all causes would bury it
        raise error.with_traceback(None) from None


def _annotation(about: FieldInfo) -> Any:
    """Type, bounds and description, without the default: Prefect takes that from the signature."""
    extra = [Field(json_schema_extra=about.json_schema_extra), *about.metadata]
    return Annotated[(about.annotation, *extra)]


def named(kind: str, parameter: str, *, day: str | None = None) -> str:
    """Name the run that is at work: ``score 2026-11-22 site-A``.

    Parameters
    ----------
    kind : str
        What is done.
    parameter : str
        Names what it is done to: a name, an address, or several of these, of which the last parts of three are told.
    day : str, optional
        The day the run was to begin if not given.

    Returns
    -------
    str
        The name.
    """
    given = flow_run.parameters.get(parameter) or []
    uris = [given] if isinstance(given, str) else list(given)
    names = [PurePosixPath(uri).name or uri for uri in uris]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return " ".join([kind, day or str(flow_run.scheduled_start_time.date()), *names[:3]]) + more


def run_name(kind: str, parameter: str) -> Callable[[], str]:
    """Make what names the runs of a flow.

    Parameters
    ----------
    kind, parameter : str
        As in `named`.

    Returns
    -------
    callable
        For ``flow_run_name``.
    """

    def name() -> str:
        return named(kind, parameter)

    return name

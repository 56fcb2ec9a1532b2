"""The part of the control API's table that a steward uses."""

from node import rows
from node.control.endpoint import Endpoint
from node.governing import AddSteward, CharterRow, Expel, Expelled, RemoveSteward, SetCharter

GOVERNING: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/charter",
        name="charter",
        summary="The charter in force",
        call=lambda service, _: service.charter(),
        answer=CharterRow,
    ),
    Endpoint(
        method="POST",
        path="/v1/charter",
        name="set_charter",
        summary="Sign the next charter",
        call=lambda service, asked: service.set_charter(asked.body),
        answer=CharterRow,
        body=SetCharter,
    ),
    Endpoint(
        method="POST",
        path="/v1/stewards",
        name="add_steward",
        summary="Sign a charter with one more steward",
        call=lambda service, asked: service.add_steward(asked.body),
        answer=CharterRow,
        body=AddSteward,
    ),
    Endpoint(
        method="POST",
        path="/v1/stewards/remove",
        name="remove_steward",
        summary="Sign a charter with one steward less, by the recovery key",
        call=lambda service, asked: service.remove_steward(asked.body),
        answer=CharterRow,
        body=RemoveSteward,
    ),
    Endpoint(
        method="POST",
        path="/v1/expulsions",
        name="expel",
        summary="Expel a peer; its pins are signed anew by the steward",
        call=lambda service, asked: service.expel(asked.body),
        answer=Expelled,
        body=Expel,
    ),
    Endpoint(
        method="DELETE",
        path="/v1/flows/{ref}",
        name="remove_flow",
        summary="Delete a flow without live pins",
        call=lambda service, asked: service.remove_flow(asked.ref),
        answer=rows.FlowRow,
    ),
)

"""The control API as one table: what is served, and what `/v1/openapi.json` says, are both made from it."""

from collections.abc import Awaitable

from node import rows
from node.control import queries
from node.control.endpoint import Asked, Endpoint, Form
from node.control.operator_routes import OPERATOR_ENDPOINTS
from node.service import AddFile, AddPin, ImageQuery, MakeInvite, Service, SetFlow


async def _trash(service: Service, asked: Asked) -> rows.Page[rows.TrashRow]:
    return await service.trash(asked.query.limit, asked.query.after)


async def _pins(service: Service, asked: Asked) -> rows.Page[rows.PinRow]:
    return await service.pins(asked.query.limit, asked.query.after)


def _upload(service: Service, asked: Asked) -> Awaitable[rows.Added]:
    return service.upload(asked.query.options(), asked.upload)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/status",
        name="status",
        summary="This peer and what it knows of the swarm",
        call=lambda service, _: service.status(),
        answer=rows.Status,
    ),
    Endpoint(
        method="GET",
        path="/v1/peers",
        name="peers",
        summary="All members, this peer first",
        call=lambda service, _: service.peers(),
        answer=rows.PeerRow,
        form=Form.LISTING,
    ),
    Endpoint(
        method="GET",
        path="/v1/members",
        name="members",
        summary="The admissions that stand",
        call=lambda service, _: service.members(),
        answer=rows.MemberRow,
        form=Form.LISTING,
    ),
    Endpoint(
        method="POST",
        path="/v1/doctor",
        name="doctor",
        summary="Check every promise",
        call=lambda service, asked: service.doctor(accept=asked.query.accept),
        answer=rows.CheckRow,
        query=queries.Doctor,
        form=Form.LISTING,
    ),
    Endpoint(
        method="POST",
        path="/v1/audit",
        name="audit",
        summary="Have the other holders of what is held here prove it",
        call=lambda service, _: service.audit(),
        answer=rows.Audit,
    ),
    Endpoint(
        method="POST",
        path="/v1/add",
        name="add",
        summary="Take in a file of this machine, which the daemon reads itself",
        call=lambda service, asked: service.add(asked.body),
        answer=rows.Added,
        body=AddFile,
    ),
    Endpoint(
        method="POST",
        path="/v1/upload",
        name="upload",
        summary="Take in the bytes of the request's body",
        call=_upload,
        answer=rows.Added,
        query=queries.Upload,
        upload=True,
    ),
    Endpoint(
        method="GET",
        path="/v1/images",
        name="images",
        summary="Live pins outside the trash",
        call=lambda service, asked: service.images(asked.query),
        answer=rows.ImageRow,
        query=ImageQuery,
        form=Form.LISTING,
    ),
    Endpoint(
        method="GET",
        path="/v1/images/{ref}",
        name="show",
        summary="One image in full",
        call=lambda service, asked: service.show(asked.ref, asked.query.flow),
        answer=rows.ImageDetail,
        query=queries.InFlow,
    ),
    Endpoint(
        method="DELETE",
        path="/v1/images/{ref}",
        name="remove",
        summary="Move an image's pins to the trash, or purge them",
        call=lambda service, asked: service.remove(asked.query.request(asked.ref)),
        answer=rows.Removed,
        query=queries.Removal,
        form=Form.LISTING,
    ),
    Endpoint(
        method="GET",
        path="/v1/resolve/{ref}",
        name="resolve",
        summary="The root that a REF stands for",
        call=lambda service, asked: service.resolve(asked.ref, asked.query.flow),
        answer=rows.Resolved,
        query=queries.InFlow,
    ),
    Endpoint(
        method="GET",
        path="/v1/content/{ref}/{variant}",
        name="content",
        summary="A file of an image",
        call=lambda service, asked: service.content(asked.ref, asked.path["variant"], asked.query.flow),
        query=queries.InFlow,
        form=Form.CONTENT,
    ),
    Endpoint(
        method="GET",
        path="/v1/block/{cid}",
        name="block",
        summary="One block, verified",
        call=lambda service, asked: service.block(asked.path["cid"], fetch=asked.query.fetch),
        query=queries.Block,
        form=Form.BYTES,
    ),
    Endpoint(
        method="GET",
        path="/v1/trash",
        name="trash",
        summary="Pins in the trash",
        call=_trash,
        answer=rows.TrashRow,
        query=queries.Cursor,
        form=Form.LISTING,
    ),
    Endpoint(
        method="POST",
        path="/v1/trash/{ref}/undelete",
        name="undelete",
        summary="Take an image out of the trash",
        call=lambda service, asked: service.undelete(asked.ref, asked.query.flow),
        answer=rows.Removed,
        query=queries.InFlow,
        form=Form.LISTING,
    ),
    Endpoint(
        method="GET",
        path="/v1/pins",
        name="pins",
        summary="All live pins",
        call=_pins,
        answer=rows.PinRow,
        query=queries.Cursor,
        form=Form.LISTING,
    ),
    Endpoint(
        method="POST",
        path="/v1/pins",
        name="pin_add",
        summary="Pin any DAG by its CID",
        call=lambda service, asked: service.pin_add(asked.body),
        answer=rows.PinRow,
        body=AddPin,
    ),
    Endpoint(
        method="DELETE",
        path="/v1/pins/{ref}",
        name="pin_remove",
        summary="Move a CID's pins to the trash",
        call=lambda service, asked: service.pin_remove(asked.ref, asked.query.flow),
        answer=rows.Removed,
        query=queries.InFlow,
        form=Form.LISTING,
    ),
    Endpoint(
        method="POST",
        path="/v1/invites",
        name="invite",
        summary="Sign an invite",
        call=lambda service, asked: service.invite(asked.body),
        answer=rows.Invite,
        body=MakeInvite,
    ),
    Endpoint(
        method="GET",
        path="/v1/flows",
        name="flows",
        summary="All flows",
        call=lambda service, _: service.flows(),
        answer=rows.FlowRow,
        form=Form.LISTING,
    ),
    Endpoint(
        method="POST",
        path="/v1/flows",
        name="set_flow",
        summary="Change a flow, or make it",
        call=lambda service, asked: service.set_flow(asked.body),
        answer=rows.FlowRow,
        body=SetFlow,
    ),
    Endpoint(
        method="GET",
        path="/v1/events",
        name="events",
        summary="Events as they happen, as server-sent events",
        call=lambda service, asked: service.events(asked.query.after),
        answer=rows.EventRow,
        query=queries.Events,
        form=Form.EVENTS,
    ),
    Endpoint(
        method="GET",
        path="/v1/metrics",
        name="metrics",
        summary="The numbers of this peer, for Prometheus",
        call=lambda service, _: service.metrics(),
        form=Form.TEXT,
    ),
    Endpoint(
        method="GET",
        path="/v1/config",
        name="config",
        summary="The effective settings and where each came from",
        call=lambda service, _: service.settings(),
        answer=rows.SettingRow,
        form=Form.LISTING,
    ),
    *OPERATOR_ENDPOINTS,
)

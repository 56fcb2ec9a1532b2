"""The part of the control API's table that pictures are edited by."""

from node import rows
from node.control.endpoint import Endpoint, Form
from node.edit_service import ChangeEdit, EditRow, OpenEdit, SaveEdit

EDIT_ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/edits",
        name="open_edit",
        summary="Begin to edit an image",
        call=lambda service, asked: service.open_edit(asked.body),
        answer=EditRow,
        body=OpenEdit,
    ),
    Endpoint(
        method="POST",
        path="/v1/edits/{edit}",
        name="change_edit",
        summary="Apply these operations to the original, instead of those before",
        call=lambda service, asked: service.change_edit(asked.path["edit"], asked.body),
        answer=EditRow,
        body=ChangeEdit,
    ),
    Endpoint(
        method="GET",
        path="/v1/edits/{edit}/picture",
        name="edited",
        summary="The picture as it would be saved",
        call=lambda service, asked: service.edited(asked.path["edit"]),
        form=Form.CONTENT,
    ),
    Endpoint(
        method="GET",
        path="/v1/edits/{edit}/frames/{frame}",
        name="edit_frame",
        summary="A composed frame of an animation, as a PNG",
        call=lambda service, asked: service.edit_frame(asked.path["edit"], asked.path["frame"]),
        form=Form.CONTENT,
    ),
    Endpoint(
        method="POST",
        path="/v1/edits/{edit}/save",
        name="save_edit",
        summary="Store the edited picture as a new image that names its parent",
        call=lambda service, asked: service.save_edit(asked.path["edit"], asked.body),
        answer=rows.Added,
        body=SaveEdit,
    ),
    Endpoint(
        method="DELETE",
        path="/v1/edits/{edit}",
        name="close_edit",
        summary="End a session and forget its files",
        call=lambda service, asked: service.close_edit(asked.path["edit"]),
        answer=EditRow,
    ),
)

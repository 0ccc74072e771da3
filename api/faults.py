"""Query parameters, checked by their schema, and what the codes of faults mean."""

from collections.abc import Mapping

from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import MultiDict

from core.errors import Fault, InvalidRequest
from core.faults import faults_of
from core.strict_json import escape_pointer

# What each code of a fault means, for readers; the fault's own detail is more exact.
FAULTS = {
    "duplicate_custom_id": "Two lines of the job have the same `custom_id`.",
    "document_too_large": "The document has more bytes than this service accepts.",
    "duplicate_key": "A parameter or a part was given more than once.",
    "duplicate_name": "Two regions have the same name.",
    "empty_file": "The batch's file holds no request.",
    "file_not_found": "The client has no such file.",
    "image_dimensions": "The image's width, height or shape is outside the limits.",
    "image_not_fetched": "The image behind the URL did not come: no connection, not in time, another status than 200.",
    "image_too_large": "The image has more bytes than this service accepts.",
    "image_url_not_allowed": "Images are not fetched from URLs here, or not from this one; send a `data:` URI.",
    "invalid_base64": "The text is not base64, or not canonical.",
    "invalid_box": "The box has no width or no height: x0 is less than x1, and y0 less than y1.",
    "invalid_cursor": "The cursor was not given out for this listing, or was altered.",
    "invalid_data_uri": "The text is not a `data:` URI in base64.",
    "invalid_pages": "The pages are not written as numbers and ranges from 1, such as `1-3,7`.",
    "invalid_pdf": "The bytes are no PDF.",
    "invalid_purpose": "The file was uploaded for another purpose.",
    "invalid_secret": "The secret is not of the form `whsec_` and base64, or too short or too long.",
    "invalid_string": "The string holds U+0000 or half a surrogate pair.",
    "invalid_type": "The value is of another JSON type than the field.",
    "invalid_value": "The value is not one of those accepted.",
    "no_image": "No message of the user holds an image to read.",
    "out_of_range": "The number is too small or too large.",
    "required": "The field is missing.",
    "too_few": "The list holds too little.",
    "too_long": "The text is too long.",
    "too_many": "The list, the object or the whole body holds too much.",
    "too_short": "The text is too short.",
    "type_mismatch": "The bytes are of another media type than was said.",
    "unknown_field": "No field, parameter or part of this name is known here.",
    "unknown_model": "No worker serves this model.",
    "unknown_template": "The client has no template of this name.",
    "unsupported_image_format": "The bytes are no PNG, JPEG, WebP, TIFF or BMP.",
    "unsupported_media_type": "The media type is none of those accepted here.",
    "url_not_allowed": "Webhooks are not sent to this URL.",
    "webhook_secret_required": "A job may name a URL once the client has a secret to sign with.",
}


def validate_query(schema: type[BaseModel], arguments: MultiDict[str, str]) -> BaseModel:
    """Return the query parameters as their schema has them; a pointer names the parameter.

    Raises:
        InvalidRequest: one is unknown, given twice, or unacceptable.
    """
    if not arguments and not _required(schema):
        return schema.model_construct()
    twice = [name for name, values in arguments.lists() if len(values) > 1]
    if twice:
        raise InvalidRequest(
            [Fault(f"/{escape_pointer(name[:100])}", "Given more than once.", "duplicate_key") for name in twice]
        )
    single: Mapping[str, str] = arguments.to_dict()
    if any("\0" in value for value in single.values()):
        raise InvalidRequest([Fault("", "A parameter holds U+0000.", "invalid_string")])
    try:
        return schema.model_validate(single)
    except ValidationError as error:
        raise InvalidRequest(faults_of(error)) from None


def _required(schema: type[BaseModel]) -> bool:
    return any(field.is_required() for field in schema.model_fields.values())

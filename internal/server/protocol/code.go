package protocol

// Code says what kind of error it is. Clients, logs and metrics may rely on it: a code keeps its meaning, and is
// never removed.
type Code string

// Codes for messages that cannot be read.
const (
	CodeInvalidJSON    Code = "invalid_json"
	CodeNotAnObject    Code = "not_an_object"
	CodeTooDeep        Code = "too_deep"
	CodeTooManyMembers Code = "too_many_members"
	CodeNotText        Code = "not_text"
	CodeMissingField   Code = "missing_field"
	CodeWrongType      Code = "wrong_type"
	CodeTooLong        Code = "too_long"
	CodeInvalidValue   Code = "invalid_value"
	CodeUnknownType    Code = "unknown_type"
	CodeBadRequest     Code = "bad_request"
	CodeUnexpected     Code = "unexpected"
)

// Codes of rooms.
const (
	CodeNoRoom          Code = "no_room"
	CodeRoomNotFound    Code = "room_not_found"
	CodeWrongPassword   Code = "wrong_password"
	CodeTooManyAttempts Code = "too_many_attempts"
	CodeRoomFull        Code = "room_full"
	CodeForbiddenRoom   Code = "forbidden_room"
	CodeAlreadyJoined   Code = "already_joined"
	CodeTooManyRooms    Code = "too_many_rooms"
	CodeInvalidRoomID   Code = "invalid_room_id"
	CodeRoomExists      Code = "room_exists"
	CodeNoPassword      Code = "no_password"
	CodeRoomLimit       Code = "room_limit"
	CodeNotOwner        Code = "not_owner"
	CodeQueueFull       Code = "queue_full"
	CodeIDReused        Code = "id_reused"
)

// Codes of users, sessions and their data. Those of tokens are in package auth, and are passed on.
const (
	CodeNameInvalid     Code = "name_invalid"
	CodeSessionNotFound Code = "session_not_found"
	CodeDataInvalid     Code = "data_invalid"
	CodeDataTooLarge    Code = "data_too_large"
)

// Codes for too much of something, and for our own faults.
const (
	CodeRateLimited Code = "rate_limited"
	CodeBusy        Code = "busy"
	CodeUnavailable Code = "unavailable"
	CodeInternal    Code = "internal"
)

// Codes of /ws/safe, which has error messages of another form.
const (
	CodeValidationError Code = "VALIDATION_ERROR"
	CodeProcessingError Code = "PROCESSING_ERROR"
)

// A CodeMeaning is a line of the table of codes.
type CodeMeaning struct {
	Code    Code
	Meaning string // a sentence for people
}

var codes = [...]CodeMeaning{
	{CodeInvalidJSON, "The message is not valid JSON."},
	{CodeNotAnObject, "The message is JSON but not an object."},
	{CodeTooDeep, "The message nests objects and arrays too deep."},
	{CodeTooManyMembers, "An object has too many members."},
	{CodeNotText, "The message is binary; this endpoint reads text."},
	{CodeMissingField, "A field that is needed is missing."},
	{CodeWrongType, "A field has a value of the wrong JSON type."},
	{CodeTooLong, "A field is too long."},
	{CodeInvalidValue, "A field has a value that is not allowed."},
	{CodeUnknownType, "This endpoint knows no message of that type."},
	{CodeBadRequest, "The first frame is not what this endpoint begins with."},
	{CodeUnexpected, "This message has no place at this point."},

	{CodeNoRoom, "The connection is not in the room, or in none."},
	{CodeRoomNotFound, "There is no such room."},
	{CodeWrongPassword, "The room has another password."},
	{CodeTooManyAttempts, "Too many wrong passwords; try again later."},
	{CodeRoomFull, "The room has as many members as it may have."},
	{CodeForbiddenRoom, "The token does not let its bearer into this room."},
	{CodeAlreadyJoined, "The connection is in this room already."},
	{CodeTooManyRooms, "The connection is in as many rooms as it may be in."},
	{CodeInvalidRoomID, "A room's id cannot be that."},
	{CodeRoomExists, "There is a room of this id or name already, or one that looks like it."},
	{CodeNoPassword, "The room has no password: it is open to everybody. Join it without one."},
	{CodeRoomLimit, "The server has as many rooms as it may have, or as many of yours."},
	{CodeNotOwner, "Only the owner of the room may do that."},
	{CodeQueueFull, "The room is behind with its messages; send again later."},
	{CodeIDReused, "Another message of yours in this room had this id within 2 minutes; send it with a new id."},

	{CodeNameInvalid, "A user's name cannot be that."},
	{CodeSessionNotFound, "There is no such session, or it is not yours, or it has ended."},
	{CodeDataInvalid, "The session's data must be a JSON object, not nested too deep."},
	{CodeDataTooLarge, "The session's data would be too large."},

	{"token_missing", "A token is needed."},
	{"token_conflicting", "There is more than one token, and they differ."},
	{"token_malformed", "That is not a token."},
	{"token_wrong_algorithm", "There is no key of the token's algorithm."},
	{"token_unknown_key", "The token is signed with an unknown key."},
	{"token_bad_signature", "The token's signature is wrong."},
	{"token_expired", "The token has expired."},
	{"token_not_yet_valid", "The token is not valid yet."},
	{"token_wrong_audience", "The token is for another audience."},
	{"token_wrong_issuer", "The token is from another issuer."},
	{"token_wrong_subject", "The token is for another subject."},
	{"token_revoked", "The token was revoked."},

	{CodeRateLimited, "That was done too often; try again later."},
	{CodeBusy, "The server is too busy for this; try again later."},
	{CodeUnavailable, "Something that the server needs for this does not answer; it may be done or not. Try again later."},
	{CodeInternal, "The server failed; the fault is its own."},

	{CodeValidationError, "The message is not a JSON object with a type."},
	{CodeProcessingError, "The message could not be processed."},
}

// Codes returns the table of all codes that clients can get, in order. Do not change it.
func Codes() []CodeMeaning { return codes[:] }

// Meaning returns a sentence for people; "" for a code that is not in the table.
func (c Code) Meaning() string {
	for _, line := range codes {
		if line.Code == c {
			return line.Meaning
		}
	}
	return ""
}

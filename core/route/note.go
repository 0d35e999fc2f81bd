package route

import "vetting/core"

// NoteCreate is a note that somebody writes.
type NoteCreate struct {
	Text string     `json:"text"`
	Run  core.RunID `json:"run,omitempty"` // of the host, that the note is about; absent: the host
}

// NoteList is the notes of a host and its runs, the oldest first.
type NoteList struct {
	Notes []core.Note `json:"notes"`
}

func noteRoutes() []Route {
	const base = "/api/v1/hosts/{mac}/notes"

	return []Route{
		{
			Name: "notes.list", Tag: "hosts", Method: "GET", Path: base, Scope: Read,
			Summary: "List what people wrote about a host and its runs, the oldest first", OK: ok(NoteList{}, "the notes"), Errors: []int{404, 422},
		},
		{
			Name: "notes.create", Tag: "hosts", Method: "POST", Path: base, Scope: Operate,
			Summary: "Write a note about a host, or about one of its runs; the report of a run that is not over has it, too", ReqType: JSON, Req: NoteCreate{},
			OK: Answer{Status: 201, Type: JSON, Value: core.Note{}, Summary: "the note"}, Errors: []int{400, 404, 409, 422, 507},
		},
		{
			Name: "notes.add-photo", Tag: "hosts", Method: "POST", Path: base + "/{id}/photos", Scope: Operate,
			Summary: "Add a photo (JPEG, PNG or WebP, 12 MiB at most) to one's own note; where and with what it was taken is not kept", ReqType: Binary,
			OK: Answer{Status: 201, Type: JSON, Value: core.Note{}, Summary: "the note"}, Errors: []int{404, 409, 422, 507},
		},
		{
			Name: "notes.photo", Tag: "hosts", Method: "GET", Path: base + "/{id}/photos/{sha256}", Scope: Read,
			Summary: "Download a photo", OK: Answer{Status: 200, Type: Binary, Summary: "the photo"}, Errors: []int{404, 422},
		},
		{
			Name: "notes.delete", Tag: "hosts", Method: "DELETE", Path: base + "/{id}", Scope: Operate,
			Summary: "Remove one's own note, or as an administrator any; its photos go with it", OK: Answer{Status: 204, Summary: "removed"}, Errors: []int{404, 422, 507},
		},
	}
}

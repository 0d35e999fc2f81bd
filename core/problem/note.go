package problem

import "vetting/core"

// Codes of notes.
const (
	NotePhoto = "note/photo"
	NoteEmpty = "note/text"
	NoteMany  = "note/too-many"
	NoteNone  = "note/not-found"
	NoteOther = "note/not-yours"
)

// notes lists the codes of notes and their photos.
func notes() []Entry {
	return []Entry{
		{
			NotePhoto, "The photo cannot be kept", "JPEG, PNG and WebP are, without what tells where and by whom they were taken.",
			"Take it anew as JPEG, or make it smaller.", core.Warning,
		},
		{
			NoteEmpty, "The note cannot be kept", "It has neither text nor a photo, too much text, or letters that do not print.",
			"Write a few words or add a photo.", core.Warning,
		},
		{
			NoteMany, "There are too many", "The notes of a host and the photos of a note are bounded.",
			"Remove notes that nobody needs any more, or write another note for the next photo.", core.Warning,
		},
		{
			NoteNone, "No such note", "It may have been removed, or its photo has gone for its age.",
			"Look at the notes of the host.", core.Warning,
		},
		{
			NoteOther, "The note is somebody else's", "Who wrote a note removes it, or an administrator.",
			"Ask who wrote it, or an administrator.", core.Warning,
		},
	}
}

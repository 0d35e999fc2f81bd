package core

import (
	"slices"
	"time"
)

// Note is what somebody wrote down about a host, or about one of its runs, with what they
// photographed. It decides nothing.
type Note struct {
	ID     string    `json:"id"` // grows with every note
	Host   MAC       `json:"host"`
	Run    RunID     `json:"run,omitempty"` // that it is about; empty: the host
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Text   string    `json:"text,omitempty"`
	Photos []Photo   `json:"photos,omitempty"`
}

// Photo is a picture that belongs to a note, kept under its content's SHA-256.
type Photo struct {
	SHA256 string    `json:"sha256"`
	Type   string    `json:"type"` // "image/jpeg", "image/png" or "image/webp"
	Size   int64     `json:"size"`
	Width  int       `json:"width"`
	Height int       `json:"height"`
	GoneAt time.Time `json:"removed_at,omitzero"` // when it was removed for its age; zero: it is there
}

// NoteWish is a note that somebody wants to be kept.
type NoteWish struct {
	Host   MAC
	Run    RunID // empty: the note is about the host
	Text   string
	Photos []Photo // that are stored already
}

// Bounds of notes.
const (
	MaxNote       = 4000 // bytes of text
	MaxNotePhotos = 8    // of one note
	MaxHostNotes  = 500  // of one host
)

// NoteKey is where a note of a host stands.
func NoteKey(host MAC, id string) string { return string(host) + "/" + id }

// Photo finds a photo that is there by its SHA-256.
func (n *Note) Photo(sum string) (Photo, bool) {
	i := slices.IndexFunc(n.Photos, func(p Photo) bool { return p.SHA256 == sum && p.GoneAt.IsZero() })
	if i < 0 {
		return Photo{}, false
	}

	return n.Photos[i], true
}

package core

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
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
	MaxNote       = 4000 // letters of text
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

// badNote is problem.NoteEmpty, whose package is above this one.
const badNote = "note/text"

// joiner makes one sign of several, as in many emoji.
const joiner = '\u200d'

// NoteText is what is kept of a text that somebody wrote or pasted: every kind of space is a
// space, and what only steers how letters are set goes. ErrInvalid for what steers a terminal
// and for what is too long.
func NoteText(typed string) (string, error) {
	typed = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == joiner:
			return r
		case r == '\u2028' || r == '\u2029' || r == '\u0085':
			return '\n'
		case r == '\t' || unicode.Is(unicode.Zs, r):
			return ' '
		case r == utf8.RuneError || unicode.Is(unicode.Cf, r):
			return -1
		default:
			return r
		}
	}, strings.ReplaceAll(typed, "\r\n", "\n"))
	typed = strings.TrimSpace(typed)

	if i := strings.IndexFunc(typed, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }); i >= 0 {
		at, _ := utf8.DecodeRuneInString(typed[i:])

		return "", NewProblem(ErrInvalid, badNote, fmt.Sprintf("The text has a control character (%U), which does not print; take it out.", at))
	}

	if letters := utf8.RuneCountInString(typed); letters > MaxNote {
		return "", NewProblem(ErrInvalid, badNote, fmt.Sprintf("The text is too long: it has %d letters, and a note has %d at most.", letters, MaxNote))
	}

	return typed, nil
}

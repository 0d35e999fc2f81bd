package report

import (
	"time"

	"vetting/core"
)

// Note is what somebody wrote down about the run. Its photos stay with the appliance; their
// digests are here, so that a photo can be told to be the one that was meant.
type Note struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Text   string    `json:"text,omitempty"`
	Photos []string  `json:"photos_sha256,omitempty"`
}

// notesOf are those about the run, the oldest first.
func notesOf(in *Input) (list []Note) {
	for i := range in.Notes {
		n := &in.Notes[i]
		if n.Run != in.Run.ID || n.Run == "" {
			continue
		}

		list = append(list, Note{By: n.By, At: stamp(n.At), Text: n.Text, Photos: sums(n.Photos)})
	}

	return list
}

func sums(photos []core.Photo) (list []string) {
	for i := range photos {
		if !photos[i].GoneAt.IsZero() {
			continue // the appliance does not have it any more
		}

		list = append(list, photos[i].SHA256)
	}

	return list
}

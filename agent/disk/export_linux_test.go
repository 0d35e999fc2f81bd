package disk

import "os"

// NewTallyOf is NewTally for a copy of sysfs.
func NewTallyOf(dir, sysfs string) *Tally {
	t := NewTally(dir)
	t.root = sysfs

	return t
}

// Around sends a command to the disk of a name and counts it.
func (t *Tally) Around(name string, send func() (failed bool)) { t.around(name, send) }

// Close ends the process that counts.
func (t *Tally) Close() {
	for _, file := range t.files {
		_ = file.Close()
	}

	t.files = map[string]*os.File{}
}

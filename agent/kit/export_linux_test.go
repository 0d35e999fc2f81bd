package kit

// OpenJournal opens a file that begins anew before it has more than most bytes.
func OpenJournal(name string, most int64) (*journal, error) { return openJournal(name, most) } //nolint:revive // for tests

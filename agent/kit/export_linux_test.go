package kit

// LogRoom is how large the appliance's log may grow on a stick of a size; 0: not known.
func LogRoom(all int64) int64 { return logRoom(all) }

// OpenJournal opens a file that begins anew before it has more than most bytes.
func OpenJournal(name string, most int64) (*journal, error) { return openJournal(name, most) } //nolint:revive // for tests
